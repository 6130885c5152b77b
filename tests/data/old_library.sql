-- A library as the first schema (m001) wrote it: tests/test_library_store.py brings it up to date.
-- Made once from m001 and a few rows with sqlite3's iterdump, and never to be changed: add another file for a later schema.
PRAGMA page_size = 16384;
PRAGMA journal_mode = WAL;
BEGIN TRANSACTION;
CREATE TABLE files (
            path BLOB PRIMARY KEY,
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('ok', 'failed', 'gone')),
            reason TEXT,
            track_id INTEGER REFERENCES tracks (id),
            artist TEXT, album TEXT, title TEXT, year INTEGER, genre TEXT, track_number INTEGER
        ) WITHOUT ROWID;
INSERT INTO "files" VALUES(X'2F6D757369632F62726F6B656E2E6D7033',1000,1700000000000000000,'failed','the file is empty',NULL,NULL,NULL,'A Song',1965,'Jazz',3);
INSERT INTO "files" VALUES(X'2F6D757369632F636F707920FFFE2E666C6163',1000,1700000000000000000,'ok',NULL,1,'Nina',NULL,'A Song',1965,'Jazz',3);
INSERT INTO "files" VALUES(X'2F6D757369632F6E696E612E666C6163',1000,1700000000000000000,'ok',NULL,1,'Nina',NULL,'A Song',1965,'Jazz',3);
INSERT INTO "files" VALUES(X'2F6D757369632F6F6C67612E6D7033',1000,1700000000000000000,'gone',NULL,2,'Olga',NULL,'A Song',1965,'Jazz',3);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('features_version','1');
INSERT INTO "meta" VALUES('generation','2');
INSERT INTO "meta" VALUES('segment','spread');
CREATE TABLE models (
            id TEXT PRIMARY KEY, created TEXT NOT NULL, trained_on INTEGER NOT NULL, dim INTEGER NOT NULL,
            active INTEGER NOT NULL, checkpoint BLOB NOT NULL
        );
INSERT INTO "models" VALUES('5f0c2a7be1d94c33','2026-01-01T00:00:00+00:00',2,3,1,X'77656967687473');
CREATE TABLE spaces (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, dim INTEGER NOT NULL);
INSERT INTO "spaces" VALUES(1,'descriptors/1',4);
INSERT INTO "spaces" VALUES(2,'5f0c2a7be1d94c33',3);
CREATE TABLE tracks (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            audio_hash TEXT NOT NULL UNIQUE,
            duration_s REAL NOT NULL,
            short INTEGER NOT NULL,
            tempo_bpm REAL,
            features_version TEXT NOT NULL
        );
INSERT INTO "tracks" VALUES(1,'00000000000000000000000000000001',200.5,0,96.0,'1');
INSERT INTO "tracks" VALUES(2,'00000000000000000000000000000002',200.5,0,NULL,'1');
CREATE TABLE vectors (
            space_id INTEGER NOT NULL, track_id INTEGER NOT NULL, vector BLOB NOT NULL,
            PRIMARY KEY (space_id, track_id)
        ) WITHOUT ROWID;
INSERT INTO "vectors" VALUES(1,1,X'0000803F000000400000404000008040');
INSERT INTO "vectors" VALUES(1,2,X'0000004000004040000080400000A040');
INSERT INTO "vectors" VALUES(2,1,X'0000803F0000004000004040');
INSERT INTO "vectors" VALUES(2,2,X'000000400000404000008040');
CREATE INDEX files_by_track ON files (track_id, state);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('tracks',2);
COMMIT;
PRAGMA application_id = 1450142830;
PRAGMA user_version = 1;
