-- The schema of the queue in a file. An object has a row while it has events. `due_at`, in seconds of the machine's
-- monotonic clock, is also when the lease of a claim ends. All other times are in epoch seconds.
BEGIN IMMEDIATE;

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
    holder TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS objects_due ON objects (app, due_at);

-- Events that failed, that were dead letters before, or that are late. A table of its own, because signers of an older
-- version may still use the file.
CREATE TABLE IF NOT EXISTS attempts (
    sequence INTEGER PRIMARY KEY,
    failures INTEGER NOT NULL DEFAULT 0,
    rejections INTEGER NOT NULL DEFAULT 0,
    first_rejected_at REAL,
    last_rejected_at REAL,
    retried_at REAL,
    is_late INTEGER NOT NULL DEFAULT 0
);
CREATE TRIGGER IF NOT EXISTS event_ended AFTER DELETE ON events BEGIN
    DELETE FROM attempts WHERE sequence = old.sequence;
END;

-- A dead letter keeps the sequence of its event, and so its place among the events of its object.
CREATE TABLE IF NOT EXISTS dead_letters (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    app TEXT NOT NULL,
    object TEXT NOT NULL,
    body BLOB NOT NULL,
    received_at REAL NOT NULL,
    failures INTEGER NOT NULL,
    reason TEXT NOT NULL,
    dead_lettered_at REAL NOT NULL,
    is_late INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS dead_letters_of_an_app ON dead_letters (app, sequence);
CREATE INDEX IF NOT EXISTS dead_letters_of_an_object ON dead_letters (object, sequence);

-- The ids of events that were added, so that a repeat is recognized after its event was delivered.
CREATE TABLE IF NOT EXISTS accepted (id TEXT PRIMARY KEY, app TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS accepted_until ON accepted (until);
CREATE INDEX IF NOT EXISTS accepted_of_an_app ON accepted (app, until);

-- How many events and accepted ids each app has; the empty app id is the sum of all.
CREATE TABLE IF NOT EXISTS counts (
    app TEXT PRIMARY KEY,
    events INTEGER NOT NULL DEFAULT 0,
    accepted INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
-- A file of an older version has events and no counts.
INSERT OR IGNORE INTO counts (app, events) SELECT '', count(*) FROM events;
INSERT OR IGNORE INTO counts (app, events) SELECT app, count(*) FROM events GROUP BY app;
CREATE TRIGGER IF NOT EXISTS event_added AFTER INSERT ON events BEGIN
    INSERT OR IGNORE INTO counts (app) VALUES (new.app);
    UPDATE counts SET events = events + 1 WHERE app IN ('', new.app);
END;
CREATE TRIGGER IF NOT EXISTS event_removed AFTER DELETE ON events BEGIN
    UPDATE counts SET events = events - 1 WHERE app IN ('', old.app);
    DELETE FROM counts WHERE app = old.app AND events = 0 AND accepted = 0;
END;
CREATE TRIGGER IF NOT EXISTS id_accepted AFTER INSERT ON accepted BEGIN
    INSERT OR IGNORE INTO counts (app) VALUES (new.app);
    UPDATE counts SET accepted = accepted + 1 WHERE app IN ('', new.app);
END;
CREATE TRIGGER IF NOT EXISTS id_forgotten AFTER DELETE ON accepted BEGIN
    UPDATE counts SET accepted = accepted - 1 WHERE app IN ('', old.app);
    DELETE FROM counts WHERE app = old.app AND events = 0 AND accepted = 0;
END;

COMMIT;
