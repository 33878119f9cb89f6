"""Codes as texts: how tables of any type are compared with a contract's codes."""

import numbers

import pandas as pd


def code_texts(values: pd.Series) -> pd.Series:
    """The text of each code; missing values stay missing.

    The integer 1 is "1". So is 1.0: a column of integers becomes one of floats
    when a value is missing. Other floats keep their digits, 1.5 is "1.5", and
    texts are as they stand: "01" and "1.0" are not "1".

    Args:
        values: A column of any type.

    Returns:
        The column itself if it holds texts, else texts as objects or as a
        categorical.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        found, codes = values.cat.categories, values.cat.codes.to_numpy()
    elif values.dtype != object:
        codes, found = pd.factorize(values)
    elif pd.api.types.infer_dtype(values, skipna=True) in {"string", "empty"}:
        return values
    else:
        return values.map(_text, na_action="ignore")
    texts = [_text(value) for value in found]
    if len(set(texts)) < len(texts):  # categories 1 and "1"
        return values.astype(object).map(_text, na_action="ignore")
    categorical = pd.Categorical.from_codes(
        codes.tolist(), dtype=pd.CategoricalDtype(texts)
    )
    return pd.Series(categorical, index=values.index, name=values.name)


def _text(value: object) -> str:
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        number = float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    return str(value)
