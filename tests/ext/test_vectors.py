"""The illustration vectors of carbon-method.md, section 15, that concern the core."""

from array import array

from ext.event_kind import EventKind as K


def test_i01_a_16_bit_counter_wraps(meter):
    m = meter(modulus=65536).read_each(300, [65530, 5])
    assert m.kinds == [K.FIRST, K.WRAP]
    assert m.total_mWh == 1_100_000


def test_i02_a_decimal_counter_wraps(meter):
    m = meter(modulus=10**8).read_each(300, [99_999_990, 4])
    assert m.kinds == [K.FIRST, K.WRAP]
    assert m.total_mWh == 1_400_000


def test_i03_jitter_keeps_the_high_water_mark(meter):
    m = meter().read_each(300, [2156, 2157, 2156, 2156, 2157, 2158])
    assert m.kinds == [K.FIRST, K.OK, K.JITTER, K.JITTER, K.OK, K.OK]
    assert m.total_mWh == 200_000


def test_i04_a_reset_counts_from_zero(meter):
    m = meter().read_each(300, [100_000, 100_020, 3, 8, 20])
    assert [(e.kind, e.energy_mWh) for e in m.events] == [
        (K.FIRST, 0),
        (K.OK, 2_000_000),
        (K.RESET, 800_000),
        (K.OK, 1_200_000),
    ]
    assert m.total_mWh == 4_000_000


def test_i05_a_dip_to_zero_is_a_glitch(meter):
    m = meter().read_each(300, [500_000, 0, 500_001, 500_002])
    assert m.kinds == [K.FIRST, K.GLITCH, K.OK]
    assert m.total_mWh == 200_000


def test_i06_a_jump_is_held_and_withdrawn(meter):
    m = meter().read_each(300, [65_530, 131_071, 65_540, 65_541])
    assert m.kinds == [K.FIRST, K.GLITCH, K.OK]
    assert m.total_mWh == 1_100_000


def test_i07_a_factor_change_cuts_an_interval(core):
    minute = 60_000
    shares = core.apportion(1000, 0, 30 * minute, [10 * minute])
    assert shares == [333, 667]
    emitted = [
        core.multiply(array("q", [share]), factor)[0] for share, factor in zip(shares, (140_400, 500_000), strict=True)
    ]
    assert emitted == [46_753_200, 333_500_000]
    assert sum(emitted) == 380_253_200


def test_i08_a_further_cut_leaves_the_borders_alone(core):
    minute = 60_000
    assert core.apportion(1000, 0, 30 * minute, [10 * minute, 20 * minute]) == [333, 333, 334]


def test_i09_power_is_integrated_and_a_long_gap_is_missing(core):
    table = core.PowerTable([180_000])
    power = array("q", [1_000_000, 3_000_000, 2_000_000, 2_000_000])
    events = table.step(array("i", [0] * 4), power, array("q", [0, 60_000, 120_000, 700_000]))
    assert sum(events.import_mWh) == 75_000
    assert sum(events.export_mWh) == 0
    assert list(events.missing) == [0, 0, 0, 1]
    assert (events.t0_ms[3], events.t1_ms[3]) == (120_000, 700_000)


def test_i10_power_that_changes_sign_is_split(core):
    table = core.PowerTable([180_000])
    events = table.step(array("i", [0, 0]), array("q", [600_000, -300_000]), array("q", [0, 90_000]))
    assert list(events.import_mWh) == [0, 5_000]
    assert list(events.export_mWh) == [0, 1_250]


def test_i11_energy_times_factor(core):
    assert list(core.multiply(array("q", [600_000 * 10**6]), 140_400)) == [84_240_000_000_000_000]


def test_i12_own_power_is_shared_by_load(core):
    # PV 2 kWh used on the site; loads A 1.2, B 1.0, C 0.8 kWh.
    pv_mWh, loads_mWh = 2_000_000, [1_200_000, 1_000_000, 800_000]
    shares = core.allocate(pv_mWh, loads_mWh)
    assert shares == [800_000, 666_666, 533_334]
    assert [load - share for load, share in zip(loads_mWh, shares, strict=True)] == [400_000, 333_334, 266_666]
    assert sum(loads_mWh) - pv_mWh == 1_000_000  # the import


def test_i15_a_slow_register_polled_fast_loses_nothing(meter):
    m = meter(scale_num=1000, refresh_s=60)
    # 30 kW: the register shows the watt-hours of the last full minute.
    for second in range(3601):
        m.read(second, 1_000_000 + second // 60 * 500)
    assert set(m.kinds) == {K.FIRST, K.OK}
    assert m.total_mWh == 30_000_000


def test_i16_a_register_slower_than_declared_is_booked_as_steps(meter):
    m = meter(scale_num=1000, refresh_s=60)
    for second in range(0, 3611, 10):
        m.read(second, 1_000_000 + second // 300 * 2500)
    assert m.kinds.count(K.STEP) == 12
    assert set(m.kinds) == {K.FIRST, K.OK, K.STEP}
    assert sum(e.energy_mWh for e in m.events if e.kind == K.STEP) == m.total_mWh == 30_000_000
    assert [(e.t0_ms, e.t1_ms) for e in m.events if e.kind == K.STEP][1] == (300_000, 600_000)
