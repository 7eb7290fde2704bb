// The options that Alipay requires.
// See: https://opendocs.alipay.com/mini/api/kmq4hc

/** Returns the kind of a form's type; undefined for a type that Alipay does not upload. */
export const kindOf = (fields) => (/^(image|video|audio)\//.exec(fields['x-oss-content-type']) || [])[1]

export const uploadOptions = (fields, fileName) => ({ fileName, fileType: kindOf(fields), hideLoading: true })
