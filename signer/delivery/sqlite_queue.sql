-- The schema of the queue in a file. An object has a row while it has events. `due_at`, in epoch seconds, is also when
-- the lease of a claim ends.
CREATE TABLE IF NOT EXISTS events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    app TEXT NOT NULL,
    object TEXT NOT NULL,
    body BLOB NOT NULL,
    received_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of_an_object ON events (object, sequence);

CREATE TABLE IF NOT EXISTS objects (
    object TEXT PRIMARY KEY,
    app TEXT NOT NULL,
    due_at REAL NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    holder TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS objects_due ON objects (app, due_at);

CREATE TABLE IF NOT EXISTS depth (only INTEGER PRIMARY KEY CHECK (only = 1), events INTEGER NOT NULL);
INSERT OR IGNORE INTO depth VALUES (1, 0);
CREATE TRIGGER IF NOT EXISTS more AFTER INSERT ON events BEGIN UPDATE depth SET events = events + 1; END;
CREATE TRIGGER IF NOT EXISTS fewer AFTER DELETE ON events BEGIN UPDATE depth SET events = events - 1; END;
