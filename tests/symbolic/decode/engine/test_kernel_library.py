"""Memory that a step streams through: zeroed, aligned, one part after another."""

import numpy as np

from symbolic.decode.engine.kernel_library import Arena, address, aligned_array


def test_parts_are_aligned_zeros_that_do_not_overlap() -> None:
    arena = Arena(1000)
    first, second = arena.array((3, 5), np.float32), arena.array((7,), np.uint8)
    assert not first.any() and not second.any()
    assert (address(second) - address(first)) % 64 == 0 and address(second) >= address(first) + first.nbytes
    first[:], second[:] = 1, 2
    assert first.sum() == 15 and second.sum() == 14


def test_what_is_put_lies_where_the_address_says() -> None:
    arena = Arena(1000)
    values = np.arange(12, dtype=np.float32).reshape(3, 4).T
    place = arena.put(values) - address(arena._bytes)
    assert np.array_equal(arena._bytes[place : place + 48].view(np.float32).reshape(4, 3), values)


def test_aligned_memory() -> None:
    for n in (1, 16, 1000):
        values = aligned_array(n)
        assert len(values) == n and address(values) % 64 == 0 and not values.any()
