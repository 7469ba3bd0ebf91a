"""The profile format: what it refuses, where it says so, what it fills in."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from drivers.catalogue import Catalogue, shipped
from drivers.profile import Profile, profile_schema
from drivers.toml_file import read_toml

HEAD = '[profile]\ntitle = "T"\nmake = "M"\nmodel = "X"\nkind = "meter"\n'
ENERGY = 'name = "energy"\naddress = 10\ntype = "u32"\nunit = "kWh"\n'


@pytest.fixture
def read(tmp_path: Path):
    def read(text: str) -> tuple[Profile | None, list[str]]:
        """The profile and its faults without the file name; lines count from the end of HEAD."""
        path = tmp_path / "p.toml"
        path.write_text(HEAD + text)
        profile, faults = read_toml(path, Profile)
        skipped = HEAD.count("\n")
        return profile, [f"{fault.line - skipped}: {fault.key}: {fault.message}" for fault in faults]

    return read


def test_defaults_of_the_file_are_filled_into_its_points(read):
    profile, faults = read(
        """\
[defaults]
function = 4
word_order = "little"
read_alone = true
[sentinels]
u16 = [0xFFFF]
i16 = [0x8000]
[[point]]
name = "a"
address = 1
type = "u16"
unit = "kW"
[[point]]
name = "b"
address = 2
type = "u16"
function = 3
word_order = "big"
read_alone = false
sentinels = []
[[point]]
name = "c"
address = 3
type = "u32"
"""
    )
    assert faults == []
    assert [point.function for point in profile.points] == [4, 3, 4]
    assert [point.word_order for point in profile.points] == ["little", "big", "little"]
    assert [point.read_alone for point in profile.points] == [True, False, True]
    assert [point.sentinels for point in profile.points] == [(0xFFFF,), (), ()]
    assert [point.quantity for point in profile.points] == ["power", "other", "other"]
    assert profile.index("c") == 2
    with pytest.raises(KeyError):
        profile.index("d")


def test_scales_are_exact(read):
    profile, _ = read('[[point]]\nname = "a"\naddress = 1\ntype = "i32"\nscale = "0.01"\nsign = -1\nunit = "kW"\n')
    assert profile.points[0].scale == Fraction(1, 100)
    assert profile.points[0].canonical == -10_000


@pytest.mark.parametrize(
    ("type_", "counter", "modulus"),
    [
        ("u16", "", 1 << 16),
        ("u32", "", 1 << 32),
        ("u32", "\nmodulus = 100000000", 10**8),
        ("i32", "", 0),
        ("u64", "", 0),
        ("f32", "", 0),
    ],
)
def test_modulus_follows_the_width_unless_told(read, type_, counter, modulus):
    energy = ENERGY.replace("u32", type_)
    profile, _ = read(f'[[point]]\n{energy}[point.counter]\nflow = "import"{counter}\n')
    assert profile.points[0].counter_modulus == modulus


POINT_FAULTS = {
    "scale = 0.01": "6: point[0].scale: must be a decimal number as text",
    'scale = "1/100"': "6: point[0].scale: must be a decimal number as text",
    'scale = "1e-2"': "6: point[0].scale: must be a decimal number as text",
    'scale = "0"': "6: point[0].scale: must be above zero",
    'scale = "-0.1"': "6: point[0].scale: must be above zero",
    'scale = "123456789.123"': "6: point[0].scale: has too many digits to stay exact in 64 bits",
    'offset = "0.0000000000001"': "6: point[0].offset: must be a decimal number as text",
    "sentinels = [0, 0x100000000]": "6: point[0].sentinels[1]: 0x100000000 does not fit u32",
    "sentinels = [-1]": "6: point[0].sentinels[0]: input should be greater than or equal to 0",
    "valid = [2, 1]": "6: point[0].valid: the lower bound comes first",
    "valid = [0, nan]": "6: point[0].valid[1]: input should be a finite number",
    "valid = [0, 1]\nexample = 2": "7: point[0].example: is outside valid = [0, 1]",
    'example = "text"': "6: point[0].example: does not fit type u32",
    'quantity = "power"': "6: point[0].quantity: 'power' is not measured in kWh",
    "states_zh = { 1 = '一' }": "6: point[0].states_zh: code 1 has no entry in states",
    "states = { on = 'on' }": "6: point[0].states: 'on' is not a code",
    'power = "x"': "6: point[0].power: is not a known key",
    "function = 6": "6: point[0].function: input should be 3 or 4",
    "integrate = { flow = 'import' }": "6: point[0].integrate: is on a point without a unit of power",
    "sign = -1\ncounter = { flow = 'import' }": "6: point[0].sign: a counter counts upwards",
    "offset = '1'\ncounter = { flow = 'import' }": ("6: point[0].offset: energy and integrated power take no offset"),
    "counter = { flow = 'import', modulus = 0x100000001 }": "6: point[0].counter.modulus: does not fit u32",
    f"counter = {{ flow = 'import', jitter = 1{23 * '0'} }}": (
        "6: point[0].counter.jitter: input should be less than or equal to 1000000"
    ),
    f"counter = {{ flow = 'import', refresh_s = 1{23 * '0'} }}": (
        "6: point[0].counter.refresh_s: input should be less than or equal to 86400"
    ),
    f"counter = {{ flow = 'import', max_power_W = 1{23 * '0'} }}": (
        "6: point[0].counter.max_power_W: input should be less than or equal to 1000000000"
    ),
    "counter = { flow = 'import', power = 'nil' }": "6: point[0].counter.power: there is no point 'nil'",
    "counter = { flow = 'import', power = 'energy' }": "6: point[0].counter.power: 'energy' is not a power",
    "counter = { flow = 'import' }\npoll = 'once'": "7: point[0].poll: energy is read live, not once",
    "scale_register = 'nil'": "6: point[0].scale_register: there is no point 'nil'",
    "scale_register = 'energy'": "6: point[0].scale_register: 'energy' is not a power of ten",
}


@pytest.mark.parametrize(("text", "fault"), POINT_FAULTS.items())
def test_faults_of_a_point(read, text, fault):
    assert read(f"[[point]]\n{ENERGY}{text}\n") == (None, [fault])


TYPE_FAULTS = {
    ('type = "u31"', ""): "4: point[0].type: is not a register type",
    ('type = "str0"', ""): "4: point[0].type: is not a register type",
    (f'type = "str{400 * "9"}"', ""): "4: point[0].type: is not a register type",
    ('type = "str126"', ""): "4: point[0].type: is not a register type",
    ('type = "str101"', ""): "4: point[0].type: str101 takes 101 registers, link.max_block is 100",
    ('type = "str4"', 'scale = "0.1"'): "5: point[0].scale: has no meaning for type str4",
    ('type = "str4"', "sentinels = [0]"): "5: point[0].sentinels[0]: a text has no sentinel",
    ('type = "bits16"', "valid = [0, 1]"): "5: point[0].valid: has no meaning for type bits16",
    ('type = "f32"', "states = { 1 = 'on' }"): "5: point[0].states: type f32 holds no codes",
    ('type = "f32"', 'unit = "kWh"\ncounter = { flow = "import", modulus = 9 }'): (
        "6: point[0].counter.modulus: a float counter does not turn over"
    ),
    ('type = "u16"', 'unit = "V"\ncounter = { flow = "import" }'): (
        "6: point[0].counter: is on a point without a unit of energy"
    ),
    ('type = "u16"', 'unit = "kwh"'): "5: point[0].unit: is not a known unit",
}


@pytest.mark.parametrize(("text", "fault"), TYPE_FAULTS.items())
def test_faults_of_a_type(read, text, fault):
    type_, rest = text
    assert read(f'[[point]]\nname = "a"\naddress = 1\n{type_}\n{rest}\n') == (None, [fault])


def test_a_point_ends_at_the_last_register(read):
    _, faults = read('[[point]]\nname = "a"\naddress = 65535\ntype = "u32"\n')
    assert faults == ["3: point[0].address: u32 at 65535 reaches past the last register"]


# The first point is ENERGY at 10..11.
PAIR_FAULTS = {
    'name = "energy"\naddress = 9\ntype = "u16"': ("7: point[1].name: 'energy' is the name of an earlier point"),
    'name = "b"\naddress = 11\ntype = "u32"': "8: point[1].address: 'b' overlaps 'energy' at 10..11",
    'name = "b"\naddress = 9\ntype = "u32"': "3: point[0].address: 'energy' overlaps 'b' at 9..10",
    'name = "b"\naddress = 10\ntype = "i32"': "8: point[1].address: 'b' overlaps 'energy' at 10..11",
    'name = "b"\naddress = 10\ntype = "bits16"': "8: point[1].address: 'b' overlaps 'energy' at 10..11",
}


@pytest.mark.parametrize(("second", "fault"), PAIR_FAULTS.items())
def test_points_that_are_in_each_others_way(read, second, fault):
    assert read(f"[[point]]\n{ENERGY}[[point]]\n{second}\n") == (None, [fault])


@pytest.mark.parametrize(
    "second",
    [
        'address = 10\ntype = "bits32"',
        'address = 10\ntype = "u32"\nfunction = 4',
        'address = 12\ntype = "u32"',
    ],
)
def test_points_that_share_lawfully(read, second):
    assert read(f'[[point]]\n{ENERGY}[[point]]\nname = "b"\n{second}\n')[1] == []


READ_APART = "has another function or poll and would be read apart from its value"
SCALE_REGISTER_FAULTS = {
    "address = 12\ntype = 'u16'": "is not a power of ten",
    "address = 12\ntype = 'i16'\nscale = '0.1'": "is not a power of ten",
    "address = 12\ntype = 'i16'\nbyte_order = 'little'": "is not a power of ten",
    "address = 12\ntype = 'i16'\nfunction = 4": READ_APART,
    "address = 12\ntype = 'i16'\npoll = 'once'": READ_APART,
    "address = 12\ntype = 'i16'\nread_alone = true": ("and 'energy' belong in one read, so neither is read alone"),
    "address = 110\ntype = 'i16'": "is too far away to be read with its value: 101 registers",
}


SESSION = 'name = "e"\naddress = 1\ntype = "u32"\nunit = "Wh"\n[point.counter]\nflow = "consumption"\nmax_power_W = 9\n'


@pytest.mark.parametrize(
    ("lines", "faults"),
    [
        ('policy = "session"\nsession_id = "e"', []),
        ('policy = "daily"\nat_midnight = true', []),
        ('policy = "session"\nsession_id = "f"', ["10: point[0].counter.session_id: there is no point 'f'"]),
        ('session_id = "e"', ['9: point[0].counter.session_id: has no meaning for policy = "lifetime"']),
        ("at_midnight = true", ['9: point[0].counter.at_midnight: has no meaning for policy = "lifetime"']),
    ],
)
def test_evidence_of_a_new_begin_fits_the_policy(read, lines, faults):
    assert read(f"[[point]]\n{SESSION}{lines}\n")[1] == faults


@pytest.mark.parametrize(("second", "fault"), SCALE_REGISTER_FAULTS.items())
def test_a_scale_register_is_a_power_of_ten_in_the_same_read(read, second, fault):
    _, faults = read(f'[[point]]\n{ENERGY}scale_register = "sf"\n[[point]]\nname = "sf"\n{second}\n')
    assert faults == [f"6: point[0].scale_register: 'sf' {fault}"]


@pytest.mark.parametrize(
    ("register", "faults"),
    [
        ('address = 12\ntype = "u16"', []),
        ('address = 12\ntype = "i16"', []),
        ('address = 12\ntype = "u32"', ["6: point[0].scale_register: 'places' is not a number of decimals"]),
    ],
)
def test_a_scale_register_may_count_decimals(read, register, faults):
    text = f'{ENERGY}scale_register = "places"\ndecimals = true\n[[point]]\nname = "places"\n{register}\n'
    assert read(f"[[point]]\n{text}")[1] == faults


def test_the_halves_of_a_value_may_lie_apart_in_either_order(read):
    between = '[[point]]\nname = "frequency"\naddress = 11\ntype = "u16"\n'
    for tail, start, end in ((12, 10, 13), (7, 7, 11)):
        profile, faults = read(f"[[point]]\n{ENERGY}tail_address = {tail}\n{between}")
        assert faults == []
        assert (profile.points[0].start, profile.points[0].end) == (start, end)
        assert profile.points[0].addresses == (10, tail)


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("tail_address = 10", "6: point[0].tail_address: the two halves overlap"),
        ("tail_address = 110", "6: point[0].tail_address: u32 takes 101 registers, link.max_block is 100"),
        ("tail_address = 65536", "6: point[0].tail_address: input should be less than or equal to 65535"),
        ("decimals = true", "6: point[0].decimals: there is no scale register to count them"),
        ("read_with = 'nil'", "6: point[0].read_with: there is no point 'nil'"),
        ("read_with = 'energy'", "6: point[0].read_with: 'energy' is read with another point itself"),
    ],
)
def test_faults_of_registers_that_belong_together(read, lines, fault):
    assert read(f"[[point]]\n{ENERGY}{lines}\n") == (None, [fault])


def test_a_value_of_one_register_has_no_second_half(read):
    faults = read('[[point]]\nname = "a"\naddress = 1\ntype = "u16"\ntail_address = 3\n')[1]
    assert faults == ["5: point[0].tail_address: a value of type u16 has no second half"]


def test_a_half_overlaps_as_a_whole_does(read):
    faults = read(f'[[point]]\n{ENERGY}tail_address = 20\n[[point]]\nname = "b"\naddress = 20\ntype = "u16"\n')[1]
    assert faults == ["9: point[1].address: 'b' overlaps 'energy' at 10, 20"]


READ_WITH_FAULTS = {
    "address = 12\nfunction = 4": f"'b' {READ_APART}",
    "address = 12\npoll = 'once'": f"'b' {READ_APART}",
    "address = 12\nread_alone = true": "'b' and 'energy' belong in one read, so neither is read alone",
    "address = 110": "'b' is too far away to be read with its value: 101 registers",
    "address = 50": "'b' is beyond the barrier at 50 and would be read apart",
    "address = 12\nread_with = 'energy'": "'b' is read with another point itself",
}


@pytest.mark.parametrize(("second", "fault"), READ_WITH_FAULTS.items())
def test_points_read_together_can_be(read, second, fault):
    text = (
        f'[[point]]\n{ENERGY}read_with = "b"\n[[point]]\nname = "b"\ntype = "u16"\n{second}\n[link]\nbarriers = [50]\n'
    )
    faults = read(text)[1]
    assert faults[0] == f"6: point[0].read_with: {fault}"


def test_a_chain_of_points_that_belong_together_fits_one_read(read):
    first = 'name = "first"\naddress = 0\ntype = "u16"\nread_with = "middle"\n'
    middle = 'name = "middle"\naddress = 60\ntype = "u16"\n'
    last = 'name = "last"\naddress = 119\ntype = "u16"\nread_with = "middle"\n'
    faults = read(f"[[point]]\n{first}[[point]]\n{middle}[[point]]\n{last}")[1]
    assert faults == [
        "1: point[0]: 'first', 'middle', 'last' and what belongs to them are one read of 120 registers",
    ]


def test_no_point_lies_across_a_barrier(read):
    faults = read(f"[link]\nbarriers = [10, 11]\n[[point]]\n{ENERGY}")[1]
    assert faults == ["5: point[0].address: 10..11 go across the barrier at 11"]


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ("[sleep]\nbelow_W = 10", "1: sleep: there is no live power that tells sleep from silence"),
        ("[frozen]\nafter_s = 60\nheartbeat = 'beat'", "3: frozen.heartbeat: there is no point 'beat'"),
        (
            "[frozen]\nafter_s = 60\nheartbeat = 'serial'",
            "3: frozen.heartbeat: 'serial' is not a number that is read live",
        ),
        ("[frozen]\nafter_s = 9", "2: frozen.after_s: input should be greater than or equal to 10"),
    ],
)
def test_silence_and_standstill_are_told_by_points_that_are_read_live(read, table, fault):
    serial = '[[point]]\nname = "serial"\naddress = 50\ntype = "str4"\npoll = "once"\n'
    assert read(f"{table}\n[[point]]\n{ENERGY}{serial}")[1] == [fault]


def test_a_scale_register_within_one_read_is_fine(read):
    text = f'[[point]]\n{ENERGY}scale_register = "sf"\n[[point]]\nname = "sf"\naddress = 109\ntype = "i16"\n'
    assert read(text)[1] == []


@pytest.mark.parametrize(
    ("identity", "fault"),
    [
        ('serial = "sn"', "7: identity.serial: there is no point 'sn'"),
        ('model = "power"', "7: identity.model: 'power' is a float and cannot tell one from another"),
        ('seriel = "power"', "7: identity.seriel: is not a known key"),
        ('uptime = "boots"', "7: identity.uptime: there is no point 'boots'"),
    ],
)
def test_identity_names_points(read, identity, fault):
    _, faults = read(f'[[point]]\nname = "power"\naddress = 1\ntype = "f32"\n\n[identity]\n{identity}\n')
    assert faults == [fault]


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ("[link]\nmax_block = 126", "2: link.max_block: input should be less than or equal to 125"),
        (f"[link]\ntimeout_ms = 1{400 * '0'}", "2: link.timeout_ms: input should be less than or equal to 600000"),
        (f"[link]\ngap_ms = 1{400 * '0'}", "2: link.gap_ms: input should be less than or equal to 60000"),
        (f"[link]\nconnect_delay_ms = 1{21 * '0'}", "2: link.connect_delay_ms: input should be less than"),
        ("[link]\nmax_gap = 126", "2: link.max_gap: input should be less than or equal to 125"),
        (f"[frozen]\nafter_s = 1{21 * '0'}", "2: frozen.after_s: input should be less than or equal to 604800"),
        (f"[sleep]\nbelow_W = 1{21 * '0'}", "2: sleep.below_W: input should be less than or equal to 1000000000"),
        ('[link]\nserial = "9600"', "2: link.serial: string should match pattern"),
        ("[sentinels]\nu61 = [1]", "2: sentinels.u61: is not a known key"),
        ("[sentinels]\nu16 = [0x10000]", "2: sentinels.u16[0]: 0x10000 does not fit u16"),
        ("[defaults]\nfunction = 5", "2: defaults.function: input should be 3 or 4"),
        ('[simulate]\nshape = "sun"\npower_W = 0', "3: simulate.power_W: input should be greater than 0"),
    ],
)
def test_faults_of_the_tables_are_told_once(read, table, fault):
    _, faults = read(f"{table}\n[[point]]\n{ENERGY}")
    assert len(faults) == 1
    assert faults[0].startswith(fault)


def test_checks_across_points_run_beside_faulty_points(read):
    _, faults = read(
        f"""\
[[point]]
{ENERGY}
[[point]]
name = "broken"
address = "x"
type = "u16"
[[point]]
name = "energy"
address = 11
type = "u16"
scale_register = "broken"
[identity]
serial = "sn"
model = "broken"
"""
    )
    assert faults == [
        "9: point[1].address: input should be a valid integer",
        "12: point[2].name: 'energy' is the name of an earlier point",
        "13: point[2].address: 'energy' overlaps 'energy' at 10..11",
        "17: identity.serial: there is no point 'sn'",
    ]


def test_a_profile_without_points_is_refused(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text(HEAD)
    assert [str(fault) for fault in read_toml(path, Profile)[1]] == [f"{path}: point: is missing"]
    path.write_text("point = []\n" + HEAD)
    assert [str(fault) for fault in read_toml(path, Profile)[1]] == [f"{path}:1: point: is empty"]


def test_the_schema_describes_the_file_not_the_model():
    schema = profile_schema()
    tables = {"profile", "link", "defaults", "sentinels", "point", "identity", "sleep", "frozen", "simulate"}
    assert tables == set(schema["properties"])
    assert schema["required"] == ["profile", "point"]
    assert schema["$defs"]["Point"]["properties"]["scale"]["type"] == "string"


@pytest.mark.parametrize(
    ("whole", "message"),
    [("nothing", "there is no point 'nothing'"), ("blower1_power", "'blower1_power' is no other counter")],
)
def test_a_part_belongs_to_a_counter_of_the_same_profile(tmp_path: Path, whole: str, message: str) -> None:
    text = Catalogue([shipped()]).text("wastewater/wwtp-generic-v1")
    path = tmp_path / "changed.toml"
    path.write_text(text.replace('part_of = "energy_load_total"', f'part_of = "{whole}"'), encoding="utf-8")
    _, faults = read_toml(path, Profile)
    assert [fault.message for fault in faults] == [message]
    assert faults[0].line == 1 + text[: text.index("part_of")].count("\n")
