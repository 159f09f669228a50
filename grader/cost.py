"""What code costs, counted and not timed: FLOPs, dtypes of matrix products, collective calls."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

ALLOWED = 1.5  # times ours
SMALL = 1000  # FLOPs: a call of ours that costs less is not asked
PRODUCTS = {"mm", "bmm", "addmm", "baddbmm", "mv", "addmv", "dot"}


class Counter(TorchDispatchMode):
    """Adds up the FLOPs of matrix products and attention, and notes the products' dtypes.

    torch's own FlopCounterMode does not know attention on a CPU, and follows modules, which makes
    it fifty times slower.
    """

    def __init__(self):
        super().__init__()
        self.flops, self.dtypes = 0, set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        packet = function._overloadpacket
        name = packet.__name__
        if name == "_scaled_dot_product_flash_attention_for_cpu":
            self.flops += sdpa_flop_count(*(x.shape for x in args[:3]))
        elif name == "_scaled_dot_product_flash_attention_for_cpu_backward":
            self.flops += 5 * sdpa_flop_count(*(x.shape for x in args[1:4])) // 2
        elif packet in flop_registry:
            self.flops += flop_registry[packet](*args, **kwargs, out_val=result)
        if name in PRODUCTS:
            self.dtypes.add(str(result.dtype))
        return result


def with_flops(calls: Iterable[tuple[str, object]]) -> Iterator[tuple[str, object, int]]:
    """(call, output, FLOPs since the output before) of unit calls."""
    with Counter() as counter:
        before = 0
        for call, value in calls:
            yield call, value, counter.flops - before
            before = counter.flops


@contextmanager
def matrix_products() -> Iterator[set[str]]:
    """A set that fills with the dtypes of all matrix products inside."""
    with Counter() as counter:
        yield counter.dtypes


def too_much(call: str, flops: int, ours: int) -> list[str]:
    """What to say of a call that costs more than is allowed; nothing if it does not."""
    if ours < SMALL or flops <= ALLOWED * ours:
        return []
    return [
        f"called     {call}",
        f"FLOPs      {flops:,}: {flops / ours:.1f} times ours, {ours:,}; allowed {ALLOWED}",
        "The values are right. Is a product made twice, or on the longer side of a matrix?",
    ]
