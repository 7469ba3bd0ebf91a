"""Read plan: few reads, each within what the device takes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from drivers.learnt import Learnt
from drivers.plan import Block, halves, plan_blocks
from drivers.point import Point
from drivers.profile_tables import Manners


def point(name: str, address: int, type_: str = "u16", **keys: object) -> Point:
    return Point.model_validate({"name": name, "address": address, "type": type_, **keys})


def spans(blocks: tuple[Block, ...]) -> list[tuple[int, int]]:
    return [(block.address, block.count) for block in blocks]


def test_neighbours_are_read_together_over_small_holes():
    points = [point("a", 10), point("b", 11, "u32"), point("c", 29), point("d", 47)]
    assert plan_blocks(points, Manners(max_gap=16)) == (
        Block(function=3, address=10, count=20, points=(0, 1, 2)),
        Block(function=3, address=47, count=1, points=(3,)),
    )
    assert spans(plan_blocks(points, Manners(max_gap=17))) == [(10, 38)]
    assert spans(plan_blocks(points, Manners(max_gap=0))) == [(10, 3), (29, 1), (47, 1)]


def test_a_block_ends_before_the_point_that_would_not_fit():
    points = [point(f"p{n}", 2 * n, "u32") for n in range(60)]
    assert spans(plan_blocks(points, Manners(max_block=100))) == [(0, 100), (100, 20)]
    assert spans(plan_blocks(points, Manners(max_block=7)))[:2] == [(0, 6), (6, 6)]


def test_order_of_points_does_not_matter():
    points = [point("c", 12), point("a", 10), point("b", 11)]
    assert plan_blocks(points, Manners()) == (Block(function=3, address=10, count=3, points=(0, 1, 2)),)


def test_functions_and_polls_are_kept_apart_and_once_comes_last():
    points = [
        point("serial", 0, "str2", poll="once"),
        point("a", 2),
        point("b", 3, function=4),
        point("c", 4),
        point("d", 5, function=4, poll="once"),
    ]
    assert plan_blocks(points, Manners()) == (
        Block(function=3, address=2, count=3, points=(1, 3)),
        Block(function=4, address=3, count=1, points=(2,)),
        Block(function=3, address=0, count=2, points=(0,), once=True),
        Block(function=4, address=5, count=1, points=(4,), once=True),
    )


def test_a_point_read_alone_shares_with_nobody():
    points = [point("a", 1), point("b", 2, read_alone=True), point("c", 3)]
    assert spans(plan_blocks(points, Manners())) == [(1, 1), (2, 1), (3, 1)]


def test_points_on_the_same_registers_are_one_read():
    points = [point("state", 8), point("bits", 8, "bits16")]
    assert plan_blocks(points, Manners()) == (Block(function=3, address=8, count=1, points=(0, 1)),)


def test_a_scale_register_is_read_again_with_each_far_user():
    points = [
        point("a", 0, scale_register="sf"),
        point("sf", 60, "i16"),
        point("b", 120, scale_register="sf"),
    ]
    blocks = plan_blocks(points, Manners(max_block=100))
    assert blocks == (
        Block(function=3, address=0, count=61, points=(0, 1)),
        Block(function=3, address=60, count=61, points=(2,)),
    )


def test_registers_between_a_value_and_its_scale_register_are_no_hole():
    points = [point("a", 0, scale_register="sf"), point("b", 10), point("c", 40), point("sf", 60, "i16")]
    assert spans(plan_blocks(points, Manners(max_gap=16))) == [(0, 61)]


@st.composite
def devices(draw: st.DrawFn) -> tuple[list[Point], Manners]:
    """Sound sets of points: no overlap, scale registers within reach."""
    points: list[Point] = []
    address = 0
    powers: dict[tuple[int, str], Point] = {}
    max_block = draw(st.integers(12, 125))
    for number in range(draw(st.integers(1, 40))):
        address += draw(st.sampled_from([0, 0, 0, 1, 3, 17, 40]))
        type_ = draw(st.sampled_from(["u16", "i16", "u32", "f32", "u64", "str5"]))
        function, poll = draw(st.sampled_from([(3, "live"), (3, "live"), (4, "live"), (3, "once")]))
        made = point(
            f"p{number}",
            address,
            type_,
            function=function,
            poll=poll,
            read_alone=draw(st.integers(0, 9)) == 0,
        )
        power = powers.get((function, poll))
        if type_ in ("u16", "u32") and power and made.end - power.address <= max_block and not made.read_alone:
            made = made.model_copy(update={"scale_register": power.name})
        if type_ == "i16" and not made.read_alone:
            powers[function, poll] = made
        points.append(made)
        address = made.end
    return draw(st.permutations(points)), Manners(max_block=max_block, max_gap=draw(st.integers(0, 30)))


@given(devices())
def test_every_plan_keeps_the_manners(device):
    points, manners = device
    by_name = {one.name: one for one in points}
    blocks = plan_blocks(points, manners)

    assert sorted(index for block in blocks for index in block.points) == list(range(len(points)))
    for block in blocks:
        members = [points[index] for index in block.points]
        powers = [by_name[member.scale_register] for member in members if member.scale_register]
        needed = [*members, *powers]
        assert block.count <= manners.max_block
        assert min(one.address for one in needed) == block.address
        assert max(one.end for one in needed) == block.address + block.count
        assert {(one.function, one.poll == "once") for one in needed} == {(block.function, block.once)}
        assert len(members) == 1 or not any(one.read_alone for one in members)
        covered = sorted(
            (min(one.address, power.address), max(one.end, power.end))
            for one in members
            for power in [by_name.get(one.scale_register, one)]
        )
        reached = block.address
        for start, end in covered:
            assert start - reached <= manners.max_gap
            reached = max(reached, end)


@given(devices())
def test_neighbouring_blocks_would_take_no_less_time_as_one(device):
    points, manners = device
    blocks = plan_blocks(points, manners)
    for first, second in pairwise(blocks):
        if (first.function, first.once) != (second.function, second.once):
            continue
        alone = any(points[index].read_alone for index in (*first.points, *second.points))
        hole = second.address - (first.address + first.count)
        span = second.address + second.count - first.address
        if not alone and hole <= manners.max_gap and span <= manners.max_block:
            assert hole > REQUEST_REGISTERS


# What a request costs at 9600 baud beside its registers, in registers: (20 bytes of 1.15 ms + 20 ms) / 2.29 ms.
REQUEST_REGISTERS = 18


def test_a_hole_is_read_over_only_where_a_request_would_cost_more():
    points = [point("a", 0), point("b", 20)]
    assert spans(plan_blocks(points, Manners(max_gap=40))) == [(0, 1), (20, 1)]
    # The silence that this product wants between requests costs more than the hole.
    assert spans(plan_blocks(points, Manners(max_gap=40, gap_ms=100))) == [(0, 21)]
    assert spans(plan_blocks(points, Manners(max_gap=40, serial="115200-8N1"))) == [(0, 21)]


def test_a_read_that_must_be_cut_is_cut_at_its_hole():
    points = [point("a", 0), *(point(f"b{n}", 17 + n) for n in range(20))]
    assert spans(plan_blocks(points, Manners(max_block=20))) == [(0, 1), (17, 20)]


def test_no_read_goes_across_a_barrier():
    points = [point("a", 123), point("b", 124), point("c", 125), point("d", 127), point("e", 124, function=4)]
    assert spans(plan_blocks(points, Manners(barriers=[125]))) == [(123, 2), (125, 3), (124, 1)]
    # Between two points, too: a register that may not be read over.
    assert spans(plan_blocks(points, Manners(barriers=[126]))) == [(123, 3), (127, 1), (124, 1)]


def test_points_read_together_are_never_cut():
    points = [
        *(point(f"p{n}", n) for n in range(8)),
        point("whole", 8, "i32"),
        point("fraction", 10, "f32", read_with="whole"),
    ]
    assert spans(plan_blocks(points, Manners(max_block=10))) == [(0, 8), (8, 4)]


def test_a_split_value_is_one_read_with_what_lies_between():
    points = [point("import", 78, "u32", tail_address=80), point("frequency", 79), point("export", 81, "u32")]
    assert plan_blocks(points, Manners()) == (Block(function=3, address=78, count=5, points=(0, 1, 2)),)
    assert spans(plan_blocks([points[0].model_copy(update={"address": 690, "tail_address": 625})], Manners())) == [
        (625, 66)
    ]


def test_what_was_learnt_is_kept_to():
    points = [point(f"p{n}", n) for n in range(10)]
    without = Learnt(refused=frozenset({"p4"}))
    assert spans(plan_blocks(points, Manners(), without)) == [(0, 4), (5, 5)]
    apart = Learnt(barriers=frozenset({(3, 6), (4, 2)}))
    assert spans(plan_blocks(points, Manners(), apart)) == [(0, 6), (6, 4)]
    assert spans(plan_blocks(points, Manners(), Learnt(max_block=4))) == [(0, 4), (4, 4), (8, 2)]


def test_halves_are_cut_where_points_border():
    points = [point("a", 0, "u32"), point("b", 2, "u64"), point("c", 6, "u64")]
    (block,) = plan_blocks(points, Manners())
    first, second = halves(points, block)
    assert [(each.address, each.count, each.points) for each in (first, second)] == [(0, 6, (0, 1)), (6, 4, (2,))]
    assert halves(points, second) == (second,)
