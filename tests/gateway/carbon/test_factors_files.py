"""Factor files: every table that must be refused, alone and beside others, with file and line."""

import re
from datetime import date
from pathlib import Path

import pytest

from gateway.carbon.errors import FactorError
from gateway.carbon.factors.factor_set import FactorSet, load_all, own_files, shipped

HEAD = """
id = "t"
title = "test"
utc_offset_h = 8
"""
VINTAGE = """
[[vintage]]
data_year = {year}
published = {published}
publisher = "p"
document = "d"
unit = "kg/kWh"
gas_basis = "CO2"
lens = "location"
factors = [
    {{ region = "CN-SC", value = "{value}", confidence = "A" }},
]
"""
LINES = VINTAGE.count("\n")
"""Of one vintage; the value of the first stands in line 15."""


def vintage(year: int, value: str = "0.1", published: str = "2024-04-12") -> str:
    return VINTAGE.format(year=year, value=value, published=published)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(HEAD + text)
    return path


def faults(*paths: Path) -> list[tuple[str, int, str]]:
    """File name, line and message of all that is wrong with the files together."""
    with pytest.raises(FactorError) as caught:
        FactorSet.load(*paths)
    assert str(caught.value) == "\n".join(str(fault) for fault in caught.value.faults)
    return [(Path(fault.file).name, fault.line, fault.message) for fault in caught.value.faults]


def refused(tmp_path: Path, text: str) -> list[tuple[int, str]]:
    return [(line, message) for _, line, message in faults(write(tmp_path / "own.toml", text))]


def test_a_sound_table_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "own.toml", vintage(2021) + vintage(2022, "0.123456"))
    assert [record.value_mg_per_kWh for record in FactorSet.load(path).records] == [100_000, 123_456]


def test_all_fields_of_a_record(tmp_path: Path) -> None:
    text = vintage(2021).replace(
        'document = "d"', f'document = "d"\ndocument_sha256 = "{"a1" * 32}"\nretrieved = 2024-05-01\nnote = "n"'
    )
    path = write(tmp_path / "own.toml", text.replace('"A" }', '"A", u_rel_ppm = 20_000 }'))
    (record,) = FactorSet.load(path).records
    assert (record.document_sha256, record.retrieved, record.note) == ("a1" * 32, date(2024, 5, 1), "n")
    assert (record.u_rel_ppm, record.value_text, record.published) == (20_000, "0.1 kg/kWh", date(2024, 4, 12))


BAD_VALUES = [
    ("0.1234567", "more than six decimals"),
    ("0.1234560", "more than six decimals"),  # seven are seven: the literal is not the published one
    ("0", "between 0 and 2"),
    ("0.000000", "between 0 and 2"),
    ("2", "between 0 and 2"),
    ("140.4", "between 0 and 2"),  # g/kWh
    ("-0.1", "decimal number"),
    ("1e-1", "decimal number"),
    ("nan", "decimal number"),
    (".5", "decimal number"),
    ("٠.٥", "decimal number"),  # digits of another script
]


@pytest.mark.parametrize(("value", "reason"), BAD_VALUES)
def test_values_that_are_refused(tmp_path: Path, value: str, reason: str) -> None:
    ((line, message),) = refused(tmp_path, vintage(2021, value))
    assert line == 15
    assert reason in message


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (('"0.1"', "0.1"), 15, "string"),
        (('unit = "kg/kWh"', 'unit = "t/MWh"'), 11, "'kg/kWh'"),
        (("2024-04-12", '"2024-04-12"'), 8, "date"),
        (('document = "d"', 'document_sha256 = "AB"\ndocument = "d"'), 10, "pattern"),
        (('"A" }', '"C" }'), 15, "'A', 'B' or 'M'"),
        (("data_year = 2021", "data_year = 2021\nversion = 0"), 8, "greater than or equal to 1"),
        (("lens =", "lense ="), 6, "is missing"),
    ],
)
def test_other_faults_of_a_row_or_a_vintage(tmp_path: Path, change: tuple[str, str], line: int, says: str) -> None:
    assert change[0] in vintage(2021)
    found = refused(tmp_path, vintage(2021).replace(*change))
    assert found[0][0] == line, found
    assert says in found[0][1]


def test_property_10_a_table_with_a_hole_overlap_wrong_unit_or_seventh_decimal_is_refused(tmp_path: Path) -> None:
    text = vintage(2020) + vintage(2021).replace("kg/kWh", "g/kWh") + vintage(2023, "0.1234567") + vintage(2021)
    assert refused(tmp_path, text) == [
        (11 + LINES, "input should be 'kg/kWh'"),
        (15 + 2 * LINES, "has more than six decimals of kg/kWh; give the published value"),
        (15 + 2 * LINES, "CN-SC has location values for 2021 and 2023, and none for 2022"),
        (15 + 3 * LINES, f"CN-SC has a location value for 2021 in line {15 + LINES} already"),
    ]


def test_a_hole_of_years_is_named_whole(tmp_path: Path) -> None:
    ((_, message),) = refused(tmp_path, vintage(2015) + vintage(2020))
    assert message == "CN-SC has location values for 2015 and 2020, and none for 2016 to 2019"


def test_versions_of_a_value_stand_side_by_side(tmp_path: Path) -> None:
    second = vintage(2021, "0.2", "2025-01-01").replace("data_year = 2021", "data_year = 2021\nversion = 2")
    path = write(tmp_path / "own.toml", vintage(2021) + second)
    assert [record.ref for record in FactorSet.load(path).records] == [f"t/CN-SC/2021/location@{n}" for n in (1, 2)]
    ((line, message),) = refused(tmp_path, vintage(2021) + second + second)
    assert line == 16 + 2 * LINES + 1
    assert "in version 2" in message


def test_a_correction_is_not_older_than_what_it_corrects(tmp_path: Path) -> None:
    second = vintage(2021, "0.2", "2024-04-11").replace("data_year = 2021", "version = 2\ndata_year = 2021")
    ((line, message),) = refused(tmp_path, vintage(2021) + second)
    assert line == 16 + LINES
    assert "version 2 of the location value of CN-SC for 2021 was published before version 1" in message


def test_a_later_file_adds_years_and_versions(tmp_path: Path) -> None:
    one = write(tmp_path / "1.toml", vintage(2021) + vintage(2022))
    two = write(tmp_path / "2.toml", vintage(2022) + vintage(2023))  # repeats a record word for word
    assert [record.data_year for record in FactorSet.load(one, two).records] == [2021, 2022, 2023]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (vintage(2022, "0.2"), 15, "t/CN-SC/2022/location@1 stands in {one}:27 with another value_mg_per_kWh"),
        (vintage(2022).replace('"p"', '"q"'), 15, "with another publisher"),
        (vintage(2024), 15, "values for 2022 and 2024, and none for 2023"),
        (vintage(2019), 15, "values for 2019 and 2021, and none for 2020"),  # in the file that is being added
    ],
)
def test_a_later_file_changes_nothing_and_leaves_no_hole(tmp_path: Path, text: str, line: int, says: str) -> None:
    one = write(tmp_path / "1.toml", vintage(2021) + vintage(2022))
    ((file, at, message),) = faults(one, write(tmp_path / "2.toml", text))
    assert (file, at) == ("2.toml", line)
    assert says.format(one=one) in message


def test_a_remark_may_change(tmp_path: Path) -> None:
    one = write(tmp_path / "1.toml", vintage(2021))
    two = write(tmp_path / "2.toml", vintage(2021).replace("lens =", 'note = "seen"\nretrieved = 2026-01-01\nlens ='))
    assert len(FactorSet.load(one, two).records) == 1


def test_a_set_has_one_calendar_and_a_region_one_set(tmp_path: Path) -> None:
    one = write(tmp_path / "1.toml", vintage(2021))
    two = tmp_path / "2.toml"
    two.write_text((HEAD + vintage(2022)).replace("utc_offset_h = 8", "utc_offset_h = 7"))
    assert faults(one, two) == [("2.toml", 4, f"set t has utc_offset_h = 8 in {one}")]
    two.write_text((HEAD + vintage(2022) + vintage(2023)).replace('"t"', '"u"', 1))
    assert faults(one, two) == [("2.toml", 15, f"CN-SC is in set t already ({one}:15)")]


def test_sets_with_calendars_of_their_own(tmp_path: Path) -> None:
    one = write(tmp_path / "1.toml", vintage(2021))
    two = tmp_path / "2.toml"
    two.write_text((HEAD + vintage(2021)).replace('"t"', '"u"', 1).replace("h = 8", "h = 0").replace("CN-SC", "IS"))
    factors = FactorSet.load(one, two)
    (china,), (iceland,) = (
        factors.boundaries(region, 1_640_900_000_000, 1_641_100_000_000) for region in ("CN-SC", "IS")
    )
    assert iceland - china == 8 * 3_600_000


def test_own_files_stand_beside_the_shipped_one(tmp_path: Path) -> None:
    assert [record.ref for record in load_all(tmp_path).records] == [r.ref for r in FactorSet.load(shipped()).records]
    text = (HEAD + vintage(2024, "0.17", "2026-12-20")).replace('"t"', '"cn-grid"', 1)
    (tmp_path / "factors").mkdir()
    (tmp_path / "factors" / "2024.toml").write_text(text)
    (tmp_path / "factors" / "2024.toml.part").write_text("half a fi")
    assert [path.name for path in own_files(tmp_path)] == ["2024.toml"]
    summer = 1_719_800_000_000
    assert load_all(tmp_path).lookup("CN-SC", "location", summer, 2**53).value_mg_per_kWh == 170_000


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "factors").write_text("")
    with pytest.raises(FactorError, match=r"factors: cannot be listed: Not a directory"):
        load_all(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"\x00\xff\xfe" * 50_000,
        b"\x7fELF" + bytes(range(256)),
        b'a = "' + b"x" * 10_000_000 + b'"',
        b"# a comment\n" * 900_000,
        b"a = " + b"[" * 1900,
        b"[\n" * 90_000,
        b"a = [\n" + b"[\n" * 90_000,
        b".".join([b"a"] * 120_000) + b" = 1",
    ],
    ids=["noise", "binary", "long string", "10 MB", "brackets", "open tables", "deep", "dotted"],
)
def test_a_hostile_file_gets_one_clear_fault(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(content)
    with pytest.raises(FactorError) as caught:
        FactorSet.load(path)
    assert all(re.match(rf"{re.escape(str(path))}(:\d+)?: ", str(fault)) for fault in caught.value.faults)
    assert len(str(caught.value)) < 1000
    assert len(caught.value.faults) == 1


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").touch()
    for path in (tmp_path / "none.toml", tmp_path / "empty.toml", tmp_path, Path("/dev/zero")):
        with pytest.raises(FactorError, match=re.escape(str(path))):
            FactorSet.load(path)
