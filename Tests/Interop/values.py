"""Values of any column as JSON that does not depend on who read them, and back.

Integers, dates, times and timestamps are integers in the column's unit; floats the hexadecimal bits of the
IEEE number ("nan" for every NaN); decimals the text of the unscaled integer; bytes and UUIDs hexadecimal;
structures arrays of their fields' values; maps arrays of [key, value].
"""

import decimal
import struct

import pyarrow as pa
import pyarrow.types as types

EXACT = decimal.Context(prec=80)


def _is_bytes(kind):
    return types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)


def _is_list(kind):
    return types.is_list(kind) or types.is_large_list(kind)


def _float_text(value, code):
    return "nan" if value != value else struct.pack(code, value).hex()


def _slices(array, children):
    """One list of children a value, None where the value is null."""
    offsets = array.offsets.to_pylist()
    present = array.is_valid().to_pylist()
    return [children[offsets[i]:offsets[i + 1]] if present[i] else None for i in range(len(array))]


def canonical(array):
    """The values of a column, in their order."""
    if isinstance(array, pa.ChunkedArray):
        return [value for chunk in array.chunks for value in canonical(chunk)]
    if isinstance(array, pa.ExtensionArray):
        stored = canonical(array.storage)
        if array.type.extension_name == "arrow.bool8":
            return [None if value is None else value != 0 for value in stored]
        return stored
    kind = array.type
    if types.is_dictionary(kind):
        return canonical(array.dictionary_decode())
    if types.is_map(kind):
        keys, items = canonical(array.keys), canonical(array.items)
        return _slices(array, [list(pair) for pair in zip(keys, items)])
    if _is_list(kind):
        return _slices(array, canonical(array.values))
    if types.is_struct(kind):
        present = array.is_valid().to_pylist()
        fields = [canonical(field) for field in array.flatten()]
        return [[field[i] for field in fields] if present[i] else None for i in range(len(array))]
    if types.is_date32(kind):
        array = array.cast(pa.int32())
    elif types.is_timestamp(kind) or types.is_time64(kind):
        array = array.cast(pa.int64())
    values = array.to_pylist()
    if types.is_float32(kind) or types.is_float64(kind):
        code = ">f" if types.is_float32(kind) else ">d"
        return [None if value is None else _float_text(value, code) for value in values]
    if types.is_decimal(kind):
        return [None if value is None else str(int(value.scaleb(kind.scale, EXACT))) for value in values]
    if _is_bytes(kind):
        return [None if value is None else value.hex() for value in values]
    return values


def rows(table):
    return [list(row) for row in zip(*(canonical(column) for column in table.columns))]


def _ends(values):
    """Offsets of lists; a null one marks a null list."""
    offsets, end = [], 0
    for value in values:
        offsets.append(None if value is None else end)
        end += len(value or [])
    return offsets + [end]


def column(values, kind):
    """The column of a type that has these canonical values."""
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, column(values, kind.storage_type))
    if types.is_map(kind):
        flat = [pair for value in values for pair in value or []]
        keys = column([pair[0] for pair in flat], kind.key_type)
        items = column([pair[1] for pair in flat], kind.item_type)
        return pa.MapArray.from_arrays(pa.array(_ends(values), pa.int32()), keys, items, kind)
    if _is_list(kind):
        elements = column([element for value in values for element in value or []], kind.value_type)
        maker, size = (pa.ListArray, pa.int32()) if types.is_list(kind) else (pa.LargeListArray, pa.int64())
        return maker.from_arrays(pa.array(_ends(values), size), elements, kind)
    if types.is_struct(kind):
        fields = [kind.field(i) for i in range(kind.num_fields)]
        children = [column([None if value is None else value[i] for value in values], field.type)
                    for i, field in enumerate(fields)]
        mask = pa.array([value is None for value in values], pa.bool_())
        return pa.StructArray.from_arrays(children, fields=fields, mask=mask)
    if types.is_date32(kind):
        return pa.array(values, pa.int32()).cast(kind)
    if types.is_timestamp(kind) or types.is_time64(kind):
        return pa.array(values, pa.int64()).cast(kind)
    return pa.array([None if value is None else scalar(value, kind) for value in values], kind)


def scalar(value, kind):
    """A Python value that Arrow takes for a canonical one."""
    if types.is_float32(kind) or types.is_float64(kind):
        code = ">f" if types.is_float32(kind) else ">d"
        return float("nan") if value == "nan" else struct.unpack(code, bytes.fromhex(value))[0]
    if types.is_decimal(kind):
        return decimal.Decimal(value).scaleb(-kind.scale, EXACT)
    return bytes.fromhex(value) if _is_bytes(kind) else value


def table(values, schema):
    """An Arrow table with rows of canonical values."""
    columns = [column([row[i] for row in values], field.type) for i, field in enumerate(schema)]
    return pa.Table.from_arrays(columns, schema=schema)
