# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Register decoding, compiled. Contracts: ext/_twin/decode.py."""

from cpython cimport array
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.math cimport NAN, fabs, isfinite, isinf, isnan
from libc.stdint cimport INT64_MAX, int8_t, int16_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from ext._canonical cimport canonical

from ext.columns import require_typecode
from ext.point_spec import check_points
from ext.point_type import PointType
from ext.quality import Quality

cdef int NO_EXPONENT = -0x8000  # the SunSpec pattern for "scale factor not implemented"
cdef int LARGEST_EXPONENT = 10
cdef double *TENS = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10]

cdef unsigned char OK = Quality.OK
cdef unsigned char NO_VALUE = Quality.NO_VALUE
cdef unsigned char OUT_OF_RANGE = Quality.OUT_OF_RANGE
cdef unsigned char BAD = Quality.BAD


cdef struct Point:
    Py_ssize_t index
    int offset
    int tail_offset
    int registers
    int half
    bint is_signed
    bint is_float
    bint little_words
    bint little_bytes
    bint absolute
    double numerator
    double denominator
    double add
    uint64_t *sentinels
    int sentinel_count
    double valid_min
    double valid_max
    int exponent_offset
    bint decimals
    int64_t canon_num
    int64_t canon_den


cdef struct Decoded:
    double value
    int64_t raw
    int exponent
    int64_t ulp


cdef class BlockDecoder:
    cdef Point *_points
    cdef uint64_t *_sentinels
    cdef Py_ssize_t _point_count
    cdef Py_ssize_t _columns
    cdef Py_ssize_t _count

    def __cinit__(self, specs, count):
        cdef Py_ssize_t i, used = 0
        checked = tuple(specs)
        check_points(checked, count)
        self._count = count
        self._columns = 1 + max((spec.index for spec in checked), default=-1)
        self._point_count = len(checked)
        self._points = <Point *>PyMem_Calloc(self._point_count + 1, sizeof(Point))
        self._sentinels = <uint64_t *>PyMem_Calloc(
            1 + sum(len(spec.sentinels) for spec in checked), sizeof(uint64_t)
        )
        if self._points is NULL or self._sentinels is NULL:
            raise MemoryError()
        for i in range(self._point_count):
            fill_point(&self._points[i], checked[i])
            self._points[i].sentinels = &self._sentinels[used]
            for sentinel in checked[i].sentinels:
                self._sentinels[used] = sentinel
                used += 1

    def __dealloc__(self):
        PyMem_Free(self._points)
        PyMem_Free(self._sentinels)

    def decode(
        self,
        bytes data not None,
        array.array values not None,
        array.array raws not None,
        array.array exponents not None,
        array.array ulps not None,
        array.array quality not None,
    ):
        cdef Columns columns
        if len(data) != 2 * self._count:
            raise ValueError(f"{len(data)} bytes are not a block of {self._count} registers")
        self._require(values, c"d")
        self._require(raws, c"q")
        self._require(exponents, c"b")
        self._require(ulps, c"q")
        self._require(quality, c"B")
        shortest = min(len(values), len(raws), len(exponents), len(ulps), len(quality))
        if shortest < self._columns:
            raise ValueError(f"a column of {shortest} is too short for {self._columns} points")
        columns = Columns(
            values=values.data.as_doubles,
            raws=<int64_t *>raws.data.as_longlongs,
            exponents=<int8_t *>exponents.data.as_schars,
            ulps=<int64_t *>ulps.data.as_longlongs,
            quality=quality.data.as_uchars,
        )
        # A block takes a microsecond: the lock is kept, though nothing in here needs it.
        decode_all(self._points, self._point_count, data, &columns)

    cdef int _require(self, array.array column, char typecode) except -1:
        if column.ob_descr.typecode != typecode:
            require_typecode(column, chr(typecode))
        return 0


cdef struct Columns:
    double *values
    int64_t *raws
    int8_t *exponents
    int64_t *ulps
    uint8_t *quality


cdef void decode_all(
    const Point *points, Py_ssize_t count, const unsigned char *block, const Columns *columns
) noexcept nogil:
    cdef Py_ssize_t i, at
    cdef Decoded cell
    for i in range(count):
        at = points[i].index
        cell = Decoded(value=NAN, raw=0, exponent=0, ulp=0)
        columns.quality[at] = decode_point(&points[i], block, &cell)
        columns.values[at] = cell.value
        columns.raws[at] = cell.raw
        columns.exponents[at] = <int8_t>cell.exponent
        columns.ulps[at] = cell.ulp


cdef void fill_point(Point *point, spec):
    kind = PointType(spec.type)
    point.index = spec.index
    point.offset = spec.offset
    point.registers = kind.registers
    point.half = kind.registers // 2
    point.tail_offset = spec.offset + point.half if spec.tail_offset < 0 else spec.tail_offset
    point.is_signed = kind in (PointType.I16, PointType.I32, PointType.I64)
    point.is_float = kind.is_float
    point.little_words = spec.little_words
    point.little_bytes = spec.little_bytes
    point.absolute = spec.absolute
    point.numerator = spec.scale_num
    point.denominator = spec.scale_den
    point.add = spec.add_num / spec.add_den
    point.sentinel_count = len(spec.sentinels)
    point.valid_min = spec.valid_min
    point.valid_max = spec.valid_max
    point.exponent_offset = spec.exponent_offset
    point.decimals = spec.decimals
    point.canon_num = spec.canon_num
    point.canon_den = spec.canon_den


cdef unsigned char decode_point(const Point *point, const unsigned char *block, Decoded *cell) noexcept nogil:
    """Fill `cell` when the quality that is given back is OK, and leave it as it is otherwise."""
    cdef uint64_t bits = assembled(point, block)
    cdef int64_t raw
    cdef int shift, exponent = 0, i
    for i in range(point.sentinel_count):
        if bits == point.sentinels[i]:
            return NO_VALUE
    if point.exponent_offset >= 0:
        exponent = <int16_t>register_at(block, point.exponent_offset, False)
        if exponent == NO_EXPONENT:
            return NO_VALUE
        if point.decimals:
            exponent = -exponent
        if exponent < -LARGEST_EXPONENT or exponent > LARGEST_EXPONENT:
            return BAD
    if point.is_float:
        return decode_float(point, bits, exponent, cell)
    raw = <int64_t>bits
    if point.is_signed:
        shift = 64 - 16 * point.registers
        raw = <int64_t>(bits << shift) >> shift
        if point.absolute and raw < 0:
            raw = <int64_t>(0 - <uint64_t>raw)  # the lowest number has no counterpart and stays negative
            if raw < 0:
                return BAD
    elif bits > <uint64_t>INT64_MAX:
        return BAD
    return judged(point, <double>raw, raw, exponent, 0, cell)


cdef unsigned char decode_float(const Point *point, uint64_t bits, int exponent, Decoded *cell) noexcept nogil:
    cdef uint32_t low = <uint32_t>bits
    cdef float single
    cdef double number
    cdef int64_t raw = 0, ulp = 0
    if point.registers == 2:
        memcpy(&single, &low, 4)
        number = single
    else:
        memcpy(&number, &bits, 8)
    if isnan(number):
        return NO_VALUE
    if isinf(number):
        return BAD
    if point.canon_num != 0:
        if not canonical(bits, 16 * point.registers, point.canon_num, point.canon_den, &raw, &ulp):
            return BAD
    if point.absolute:
        number = fabs(number)
        if raw < 0:
            raw = -raw
    return judged(point, number, raw, exponent, ulp, cell)


cdef unsigned char judged(
    const Point *point, double number, int64_t raw, int exponent, int64_t ulp, Decoded *cell
) noexcept nogil:
    """The display value, when it is finite and within the valid range."""
    cdef double numerator = point.numerator
    cdef double denominator = point.denominator
    cdef double value
    # Powers of ten join the exact side of the fraction first, so that 12345 with scale 1/100 is 123.45.
    if exponent >= 0:
        numerator *= TENS[exponent]
    else:
        denominator *= TENS[-exponent]
    value = number * numerator / denominator + point.add
    if not isfinite(value):
        return BAD
    if not (point.valid_min <= value and value <= point.valid_max):
        return OUT_OF_RANGE
    cell.value = value
    cell.raw = raw
    cell.exponent = exponent
    cell.ulp = ulp
    return OK


cdef uint64_t assembled(const Point *point, const unsigned char *block) noexcept nogil:
    """The bit pattern of the point as an unsigned integer, words and bytes put in order."""
    cdef uint64_t bits = 0
    cdef int i, word, at
    for i in range(point.registers):
        word = point.registers - 1 - i if point.little_words else i
        at = point.offset + word if word < point.half else point.tail_offset + word - point.half
        bits = bits << 16 | register_at(block, at, point.little_bytes)
    return bits


cdef uint16_t register_at(const unsigned char *block, int offset, bint little_bytes) noexcept nogil:
    cdef int first = block[2 * offset], second = block[2 * offset + 1]
    if little_bytes:
        return <uint16_t>(second << 8 | first)
    return <uint16_t>(first << 8 | second)
