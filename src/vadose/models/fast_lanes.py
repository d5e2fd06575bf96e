"""What 64 rows do in one step, for `fast_kernels`: imported only where numba is installed.

Loops over 64 numbers become vector instructions only where a compiler sees that they may. That rows of bits
come out of comparisons, and go into choices, it does not see; so these few steps are written in its own
language, for any processor: one with wide vectors needs two to four instructions for each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

#: Rows that go together: as many as a word has bits.
LANES = 64

_declare: Any = cgutils.get_or_insert_function
_BITS = ir.VectorType(ir.IntType(1), LANES)


def _step(generate: Callable[..., Any]) -> Any:
    """Make a step: what numba makes of a function here has other arguments than the function."""
    return intrinsic(generate)


@_step
def above(typing: Any, array: Any, start: Any, number: Any) -> Any:
    """Tell which of ``array[start:start + 64]`` are above a number of their own type, as the bits of a word."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, kind = _lanes(context, builder, signature, arguments)
        compare = builder.fcmp_ordered if array.dtype is types.float32 else builder.icmp_unsigned
        lanes = builder.load(pointer, align=array.dtype.bitwidth // 8)
        return builder.bitcast(
            compare(">", lanes, _spread(builder, arguments[2], kind)), ir.IntType(LANES)
        )

    return types.uint64(array, types.uint64, array.dtype), generate


@_step
def put(typing: Any, array: Any, start: Any, mask: Any, number: Any) -> Any:
    """Set those of ``array[start:start + 64]`` whose bit is 1 to a number of their own type."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, kind = _lanes(context, builder, signature, arguments)
        align = array.dtype.bitwidth // 8
        chosen = builder.bitcast(arguments[2], _BITS)
        new = _spread(builder, arguments[3], kind)
        builder.store(
            builder.select(chosen, new, builder.load(pointer, align=align)), pointer, align=align
        )
        return context.get_dummy_value()

    return types.void(array, types.uint64, types.uint64, array.dtype), generate


@_step
def fetch(typing: Any, array: Any, place: Any) -> Any:
    """Ask for a number before it is needed."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        made = context.make_array(signature.args[0])(context, builder, arguments[0])
        byte, integer = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, integer, integer, integer])
        function: Any = _declare(builder.module, kind, "llvm.prefetch.p0")
        address = builder.bitcast(builder.gep(made.data, [arguments[1]]), byte)
        to_read, keep, data = (ir.Constant(integer, number) for number in (0, 3, 1))
        builder.call(function, [address, to_read, keep, data])
        return context.get_dummy_value()

    return types.void(array, types.uint64), generate


@_step
def unforeseen(typing: Any, number: Any) -> Any:
    """Give a number as it is, of which the compiler knows nothing: it does not unroll a loop that counts so.

    Most lists are short, and what is left over by an unrolled loop costs another wrong guess.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(64), [ir.IntType(64)])
        return builder.asm(kind, "", "=r,0", [arguments[0]], False)

    return types.uint64(types.uint64), generate


def _reading(old: Any, new: Any) -> Any:
    """Make a function that reads the bits of one type as another."""

    @_step
    def read(typing: Any, bits: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], context.get_value_type(new))

        return new(old), generate

    return read


#: The bits of a number as another type.
as_float = _reading(types.uint32, types.float32)
as_double = _reading(types.uint64, types.float64)
as_word = _reading(types.float64, types.uint64)


def _lanes(context: Any, builder: Any, signature: Any, arguments: Any) -> tuple[Any, Any]:
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    kind = ir.VectorType(context.get_data_type(signature.args[0].dtype), LANES)
    return builder.bitcast(builder.gep(array.data, [arguments[1]]), kind.as_pointer()), kind


def _spread(builder: Any, number: Any, kind: Any) -> Any:
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, nothing, everywhere)
