"""The hub's schema, readable top to bottom, and the ordered migrations that lead to it.

Everything stands in a schema ``skillsmith`` of its own, so a hub may share a database. Rows that others pull
carry ``seq``, drawn from one sequence while the writer holds the hub's lock: the order of numbers is the
order of commits, so a reader that goes on from the last number it saw can miss none.
"""

from __future__ import annotations

from typing import Final

NAMESPACE: Final = "skillsmith"

WRITER_LOCK: Final = 0x534B534D
"""Advisory lock of a transaction that draws from ``changes``."""
SCHEMA_LOCK: Final = 0x534B534E
"""Advisory lock of a transaction that changes the schema or adds a partition."""
INDEX_LOCK: Final = 0x534B534F
"""Advisory lock of a session that builds vector indexes."""

_LIBRARY = """
-- Facts about the hub: its schema, its id, when it was made.
CREATE TABLE hub (key text PRIMARY KEY, value text NOT NULL);

-- The order of commits; drawn from only under the writer's lock.
CREATE SEQUENCE changes;

-- The files that push here; each numbers its versions for itself.
CREATE TABLE machines (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  first_seen timestamptz NOT NULL DEFAULT now(),
  last_seen timestamptz NOT NULL DEFAULT now()
);

-- Versions of skills, immutable: the same content is the same version, whoever made it.
CREATE TABLE versions (
  name text NOT NULL,
  digest text NOT NULL,               -- of its content
  id uuid NOT NULL,                   -- UUIDv7, from the machine that pushed it first
  machine uuid NOT NULL REFERENCES machines (id),
  number integer NOT NULL,            -- on that machine
  structure text NOT NULL,
  description text NOT NULL,
  tags text[] NOT NULL,
  document text NOT NULL,             -- as it is exported
  words tsvector NOT NULL,
  created_at double precision NOT NULL,
  pushed_at timestamptz NOT NULL DEFAULT now(),
  current boolean NOT NULL DEFAULT false, -- whether the hub's pointer stands here; kept by a trigger
  seq bigint NOT NULL DEFAULT nextval('changes'),
  PRIMARY KEY (name, digest)
) WITH (toast_tuple_target = 256);    -- documents lie aside: searching words reads few pages
ALTER TABLE versions ALTER words SET STORAGE MAIN;
CREATE UNIQUE INDEX versions_seq ON versions (seq);
-- full text over what a match can find
CREATE INDEX versions_words ON versions USING gin (words) WHERE current;

-- Which version a machine means by NAME@NUMBER.
CREATE TABLE numbers (
  machine uuid NOT NULL REFERENCES machines (id),
  name text NOT NULL,
  number integer NOT NULL,
  digest text NOT NULL,
  PRIMARY KEY (name, number, machine, digest)
);

-- Which version a name stands for; digest NULL: the skill was deleted.
CREATE TABLE skills (
  name text PRIMARY KEY,
  digest text,
  machine uuid NOT NULL REFERENCES machines (id),
  by_user text,
  at timestamptz NOT NULL DEFAULT now(),
  seq bigint NOT NULL DEFAULT nextval('changes')
);
CREATE UNIQUE INDEX skills_seq ON skills (seq);

-- Versions that a machine deleted; their rows stay. gone false: one of them was taken up again.
CREATE TABLE tombstones (
  name text NOT NULL,
  digest text NOT NULL,
  gone boolean NOT NULL,
  machine uuid NOT NULL REFERENCES machines (id),
  by_user text,
  reason text NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  seq bigint NOT NULL DEFAULT nextval('changes'),
  PRIMARY KEY (name, digest)
);
CREATE UNIQUE INDEX tombstones_seq ON tombstones (seq);

-- Tasks that versions served.
CREATE TABLE examples (
  name text NOT NULL,
  digest text NOT NULL,
  task_digest text NOT NULL,          -- a task may be too long for a key
  task text NOT NULL,                 -- as JSON
  seq bigint NOT NULL DEFAULT nextval('changes'),
  PRIMARY KEY (name, digest, task_digest)
);
CREATE UNIQUE INDEX examples_seq ON examples (seq);

-- One vector for each version as a whole, of each embedding model.
CREATE TABLE vectors (
  name text NOT NULL,
  digest text NOT NULL,
  model text NOT NULL,
  texts text NOT NULL,                -- digest over what it stands for
  embedding vector NOT NULL,
  current boolean NOT NULL DEFAULT false,
  PRIMARY KEY (name, digest, model)
);
-- And the vectors of their single texts, so that a match embeds nothing but the task.
CREATE TABLE text_vectors (
  model text NOT NULL,
  text_digest text NOT NULL,
  embedding bytea NOT NULL,           -- little-endian float32
  PRIMARY KEY (model, text_digest)
);

-- What uses of versions did: facts under UUIDv7 keys, so that merging ledgers is their union.
-- One that failed may be closed again after it was resumed: of two such rows the later one is kept.
CREATE TABLE executions (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  digest text,                        -- NULL: the version was deleted before it was ever pushed
  machine uuid NOT NULL REFERENCES machines (id),
  number integer NOT NULL,            -- of the version, on that machine
  started_at double precision NOT NULL,
  completed_at double precision NOT NULL,
  duration_seconds double precision,
  cost_usd double precision,
  success boolean NOT NULL,
  adapted boolean NOT NULL,
  body text NOT NULL,                 -- JSON: every column, and the adaptations
  seq bigint NOT NULL DEFAULT nextval('changes')
);
CREATE UNIQUE INDEX executions_seq ON executions (seq);
-- a version's ledger
CREATE INDEX executions_version ON executions (name, digest);

-- What was done to skills, by whom and why.
CREATE TABLE history (
  id text PRIMARY KEY,                -- digest over the row: a copied file tells nothing twice
  machine uuid NOT NULL REFERENCES machines (id),
  name text NOT NULL,
  action text NOT NULL,
  digest text,                        -- of the version it was done to
  from_digest text,
  body text NOT NULL,                 -- JSON: every column
  seq bigint NOT NULL DEFAULT nextval('changes')
);
CREATE UNIQUE INDEX history_seq ON history (seq);

-- What runs were about and how they went, as the last push said; the runs themselves stay where they are,
-- or in the archive.
CREATE TABLE runs (
  id uuid PRIMARY KEY,
  machine uuid NOT NULL REFERENCES machines (id),
  source text NOT NULL,
  task text NOT NULL,
  status text NOT NULL,
  outcome text NOT NULL,
  outcome_reason text,
  started_at double precision,
  ended_at double precision,
  duration_seconds double precision,
  agents text NOT NULL,               -- JSON
  events bigint NOT NULL,
  kinds text NOT NULL,                -- JSON {kind: count}
  tokens_in bigint NOT NULL,
  tokens_out bigint NOT NULL,
  cost_usd double precision,
  created_at double precision NOT NULL
);

-- Matching looks at the versions that pointers stand at.
CREATE FUNCTION follow_pointers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE versions v SET current = coalesce(v.digest = m.digest, false) FROM moved m
  WHERE v.name = m.name AND v.current <> coalesce(v.digest = m.digest, false);
  UPDATE vectors v SET current = coalesce(v.digest = m.digest, false) FROM moved m
  WHERE v.name = m.name AND v.current <> coalesce(v.digest = m.digest, false);
  RETURN NULL;
END $$;
CREATE TRIGGER skills_made AFTER INSERT ON skills
  REFERENCING NEW TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION follow_pointers();
CREATE TRIGGER skills_moved AFTER UPDATE ON skills
  REFERENCING NEW TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION follow_pointers();
"""

_ARCHIVE = """
-- Large texts and files of archived runs, once each.
CREATE TABLE blobs (
  digest text PRIMARY KEY,            -- SHA-256 of the content
  encoding text NOT NULL,
  size bigint NOT NULL,
  data bytea NOT NULL
);
-- Whole runs, by month, so that a month can be moved or dropped as one table.
CREATE TABLE archived_runs (
  id uuid NOT NULL,
  started_at timestamptz NOT NULL,
  machine uuid NOT NULL REFERENCES machines (id),
  events bigint NOT NULL,
  fingerprint text NOT NULL,          -- over every row and content, keys of the file aside
  archived_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (id, started_at)
) PARTITION BY RANGE (started_at);
CREATE TABLE archived_rows (
  run uuid NOT NULL,
  started_at timestamptz NOT NULL,    -- of the run: its rows lie together
  part text NOT NULL,                 -- runs | steps | events | files | file_versions | …
  ordinal bigint NOT NULL,
  kind text,                          -- of an event
  agent text,
  body text NOT NULL,                 -- JSON: every column
  PRIMARY KEY (run, started_at, part, ordinal)
) PARTITION BY RANGE (started_at);
CREATE TABLE archived_blobs (
  run uuid NOT NULL,
  started_at timestamptz NOT NULL,
  digest text NOT NULL REFERENCES blobs (digest),
  PRIMARY KEY (run, started_at, digest)
) PARTITION BY RANGE (started_at);
"""

MIGRATIONS: Final = (("h001_library", _LIBRARY), ("h002_archive", _ARCHIVE))
"""Name and SQL in order."""

SCHEMA_VERSION: Final = len(MIGRATIONS)
