"""The simulated device: what its registers show is what its power adds up to, exactly."""

from array import array
from fractions import Fraction

import pytest

from drivers.catalogue import Catalogue, shipped
from drivers.codec import block_decoder
from drivers.errors import CodecError, DriverError
from drivers.modbus.bank import RegisterBank
from drivers.plan import plan_blocks
from drivers.profile import Profile
from drivers.simulation.shape import DayShape
from drivers.simulator import Simulator
from ext import Quality

CATALOGUE = Catalogue([shipped()])
SECOND = 1_000_000_000

PROFILE = {
    "profile": {"title": "Meter", "make": "Any", "model": "M1", "kind": "meter"},
    "link": {"max_block": 10, "max_gap": 2},
    "simulate": {"shape": "steady", "power_W": 3600},
    "point": [
        {"name": "power", "address": 0, "type": "i32", "unit": "W", "example": 3000.0},
        {
            "name": "energy", "address": 2, "type": "u16", "unit": "Wh", "example": 100.0,
            "counter": {"flow": "import", "power": "power"},
        },
        {
            "name": "given", "address": 3, "type": "f32", "unit": "kWh", "example": 5.5,
            "counter": {"flow": "export", "power": "power"},
        },
        {
            "name": "taken", "address": 5, "type": "f32", "unit": "kWh", "example": 7.25,
            "counter": {"flow": "import", "power": "power"},
        },
        {
            "name": "pump", "address": 7, "type": "u16", "unit": "W", "example": 1500.0,
            "integrate": {"flow": "consumption"},
        },
        {"name": "voltage", "address": 10, "type": "u16", "unit": "V", "scale": "0.1", "example": 230.0},
        {"name": "alone", "address": 11, "type": "u16", "read_alone": True, "example": 7.0},
        {"name": "silent", "address": 20, "type": "u16", "sentinels": [0xFFFF]},
    ],
}  # fmt: skip


class Clock:
    """Nanoseconds that pass by hand."""

    def __init__(self):
        self.ns = 5 * SECOND

    def __call__(self):
        return self.ns

    def wait(self, seconds):
        self.ns += round(seconds * SECOND)


@pytest.fixture
def clock():
    return Clock()


def simulator(clock, **options):
    return Simulator(Profile.model_validate(PROFILE), clock_ns=clock, **options)


def read_all(device):
    """Every point as a gateway reads it: display values, raws and qualities by name."""
    points = device.profile.points
    size = len(points)
    values, raws, exponents = array("d", [0.0] * size), array("q", [0] * size), array("b", [0] * size)
    ulps, quality = array("q", [0] * size), array("B", [Quality.UNREAD] * size)
    for block in plan_blocks(points, device.profile.manners):
        words = device.read(device.unit, block.function, block.address, block.count)
        assert isinstance(words, list), (block, words)
        data = b"".join(word.to_bytes(2, "big") for word in words)
        block_decoder(points, block).decode(data, values, raws, exponents, ulps, quality)
    names = [point.name for point in points]
    return (
        dict(zip(names, values, strict=True)),
        dict(zip(names, raws, strict=True)),
        dict(zip(names, quality, strict=True)),
    )


def test_a_simulator_is_a_register_bank(clock):
    bank: RegisterBank = simulator(clock)
    assert bank.write(1, 6, 0, [1]) == 1


def test_registers_show_their_examples(clock):
    values, _, quality = read_all(simulator(clock))
    assert (values["voltage"], values["alone"], values["energy"]) == (230.0, 7.0, 100.0)
    assert quality["silent"] == Quality.NO_VALUE


def test_a_steady_power_adds_up_second_by_second(clock):
    device = simulator(clock)
    for second in range(100):
        assert read_all(device)[0]["power"] == 3600
        assert read_all(device)[0]["energy"] == 100 + second  # 3600 W are 1 Wh a second
        clock.wait(1)


def test_only_whole_counts_are_shown_and_no_part_is_lost(clock):
    device = simulator(clock, power_W=1000)
    for _ in range(3600):
        clock.wait(0.7)
        device.read(1, 3, 2, 1)
    assert read_all(device)[0]["energy"] == 100 + 700


@pytest.mark.slow
def test_the_counter_is_the_sum_of_the_power_that_was_shown(clock):
    """Independent of the simulator's own steps: power is read as often as it may change."""
    device = simulator(clock, shape="evening", seed=3, day_s=600)
    expected = Fraction(0)
    for _ in range(6000):
        watts = read_all(device)[0]["power"]
        expected += max(Fraction(watts), 0) / 36_000  # Wh in 0.1 s
        clock.wait(0.1)
        assert device.read(1, 3, 2, 1) == [100 + int(expected)]
    assert expected > 100
    assert read_all(device)[0]["given"] > 5.5  # the meter counted some back-flow at noon


def test_a_counter_turns_over_and_the_truth_goes_on(clock):
    device = simulator(clock, start={"energy": 65_530})
    device.read(1, 3, 2, 1)
    clock.wait(10)
    assert device.read(1, 3, 2, 1) == [4]
    clock.wait(70_000)
    device.read(1, 3, 2, 1)
    assert device.truth()["energy"] == {
        "first_raw": 65_530,
        "last_raw": (65_530 + 70_010) % 65_536,
        "served_mWh": 70_010_000,
        "variation_mW": 0,
    }


def test_the_truth_is_about_what_was_served(clock):
    device = simulator(clock)
    clock.wait(5)
    assert device.truth() == {}
    device.read(1, 3, 2, 1)
    clock.wait(5)
    device.read(1, 3, 2, 1)
    clock.wait(5)  # nobody reads after this
    truth = device.truth()
    assert list(truth) == ["energy"]
    assert truth["energy"] == {"first_raw": 105, "last_raw": 110, "served_mWh": 5000, "variation_mW": 0}


def test_half_a_register_is_no_serving(clock):
    device = simulator(clock)
    device.read(1, 3, 3, 1)
    assert device.truth() == {}


def test_a_float_counter_is_judged_by_its_bits(clock):
    device = simulator(clock, power_W=36_000, start={"taken": 131_072_000_000})  # steps of 1/64 kWh from there
    first = read_all(device)[1]["taken"]
    assert first == 131_072_000_000
    for seconds, shown_mWh in ((0.5, 0), (0.5, 15_625), (1, 15_625), (1, 31_250)):  # 10 Wh a second
        clock.wait(seconds)
        assert read_all(device)[1]["taken"] - first == shown_mWh
        assert device.truth()["taken"]["served_mWh"] == shown_mWh


def test_an_integrated_power_reports_its_integral(clock):
    device = simulator(clock)
    read_all(device)
    clock.wait(1801)
    read_all(device)
    assert device.truth()["pump"] == {"first_raw": 1800, "last_raw": 1800, "served_mWh": 900_500, "variation_mW": 0}


def test_frozen_it_stands_still(clock):
    device = simulator(clock)
    clock.wait(10)
    device.freeze()
    clock.wait(1000)
    values, _, _ = read_all(device)
    assert (values["power"], values["energy"], values["pump"]) == (0, 110, 0)


@pytest.mark.parametrize(
    ("unit", "function", "address", "count", "code"),
    [
        pytest.param(2, 3, 0, 1, 0x0B, id="another unit"),
        pytest.param(1, 4, 0, 1, 1, id="a function without points"),
        pytest.param(1, 1, 0, 1, 1, id="coils"),
        pytest.param(1, 3, 0, 11, 3, id="more than it gives at once"),
        pytest.param(1, 3, 12, 1, 2, id="a hole too wide to read over"),
        pytest.param(1, 3, 10, 2, 2, id="together with what is read alone"),
        pytest.param(1, 3, 21, 1, 2, id="after the last"),
    ],
)
def test_what_the_device_would_refuse(clock, unit, function, address, count, code):
    assert simulator(clock).read(unit, function, address, count) == code


def test_small_holes_are_read_over(clock):
    words = simulator(clock).read(1, 3, 2, 9)
    assert words[0] == 100
    assert words[6:8] == [0, 0]


def test_the_same_seed_plays_the_same_day(clock):
    def day(seed):
        device = simulator(clock, shape="sun", seed=seed, day_s=60)
        powers = []
        for _ in range(60):
            powers.append(read_all(device)[0]["power"])
            clock.wait(1)
        return powers

    assert day(1) == day(1)
    assert day(1) != day(2)


@pytest.mark.parametrize("shape", ["sun", "steady", "evening", "charging", "pulse"])
@pytest.mark.parametrize("back_flow", [False, True])
def test_shapes_stay_within_their_bounds(shape, back_flow):
    levels = [DayShape(shape, seed=1, back_flow=back_flow).level(day / 1024) for day in range(2048)]
    assert max(levels) <= 1 + 1e-9
    assert min(levels) >= (-0.31 if shape == "evening" and back_flow else 0)
    assert levels[:1024] == levels[1024:]
    assert DayShape(shape, seed=1).level(0.375) > 0 or shape == "pulse"
    assert max(levels) > 0.9


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"start": {"voltage": 1}}, "voltage is no counter"),
        ({"power_W": 200_000}, "pump"),  # half of it does not fit 16 bits
    ],
)
def test_what_cannot_be_simulated_is_said(clock, options, part):
    with pytest.raises(DriverError, match=part):
        simulator(clock, **options)


def test_a_power_that_does_not_fit_is_a_codec_error(clock):
    with pytest.raises(CodecError):
        simulator(clock, power_W=200_000)


def test_a_profile_without_a_shape_needs_one(clock):
    profile = Profile.model_validate({key: part for key, part in PROFILE.items() if key != "simulate"})
    with pytest.raises(DriverError, match="shape"):
        Simulator(profile, clock_ns=clock)
    assert Simulator(profile, shape="sun", power_W=10, clock_ns=clock).truth() == {}


@pytest.mark.parametrize("name", CATALOGUE.names())
def test_every_shipped_profile_can_be_played_for_a_day(clock, name):
    device = Simulator(CATALOGUE.load(name), clock_ns=clock, seed=1)
    first_raws = read_all(device)[1]
    for _ in range(24):
        clock.wait(3600)
        _, raws, quality = read_all(device)
    truth = device.truth()
    counters = [point for point in device.profile.points if point.counter]
    assert any(truth[point.name]["served_mWh"] > 0 for point in counters)
    for point in counters:
        if point.is_float:
            assert raws[point.name] - first_raws[point.name] == truth[point.name]["served_mWh"]
    with_example = [point.name for point in device.profile.points if point.example is not None and not point.is_text]
    bad = {one for one in with_example if quality[one] != Quality.OK}
    assert bad == set()


def test_a_heartbeat_counts_seconds(clock):
    profile = CATALOGUE.load("wastewater/wwtp-generic-v1")
    heartbeat = profile.points[profile.index("heartbeat")]
    simulator = Simulator(profile, clock_ns=clock)
    seen = []
    for _ in range(3):
        seen += simulator.read(simulator.unit, heartbeat.function, heartbeat.address, 1)
        clock.wait(1)
    assert seen == [0, 1, 2]
