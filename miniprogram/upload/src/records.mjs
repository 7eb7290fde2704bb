// Records of unfinished uploads in the storage of the page or of the mini-program.

const PREFIX = 'oss-signer:'

export const createRecords = (platform) => {
  const memory = {} // the storage may be full or blocked

  const drop = (key) => {
    delete memory[key]
    platform._remove(key)
  }

  return {
    _load: (id) => memory[PREFIX + id] || platform._load(PREFIX + id),

    _save(id, record) {
      // A wrong clock only costs the continuation of another upload.
      for (const key of platform._keys() || []) {
        if (!key.indexOf(PREFIX) && !(Date.parse((platform._load(key) || {}).expires_at) > Date.now())) drop(key)
      }
      platform._save(PREFIX + id, (memory[PREFIX + id] = record))
    },

    _drop: (id) => drop(PREFIX + id),
  }
}
