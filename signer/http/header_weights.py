"""The weights of the values of `Accept`, `Accept-Language` and similar request headers."""


def header_weights(header: str) -> dict[str, float]:
    """Return the weight of each value, in lower case; 0 if its weight is not a number.

    See: https://www.rfc-editor.org/rfc/rfc9110#section-12.4.2
    """
    weights = {}
    for each in header.lower().split(","):
        value, *parameters = (part.strip() for part in each.split(";"))
        texts = [text for text in parameters if text.startswith("q=")]
        try:
            weights[value] = float(texts[0][2:]) if texts else 1.0
        except ValueError:
            weights[value] = 0.0
    return weights
