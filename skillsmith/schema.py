"""The schema of the one file, readable top to bottom.

Migrating an empty file and running ``SCHEMA`` give the same database (tests/test_schema.py). The vec0 table
of skill vectors is not here: it depends on the embedding model's dimension and is made on first use
(library/vectors.py).
"""

from __future__ import annotations

_FOUNDATION = """
-- Settings of this file: full-text watermark, embedding model and dimension, versions found free of secrets.
CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

-- Large text and files, once each, addressed by the SHA-256 of the content.
CREATE TABLE blobs (
  digest TEXT PRIMARY KEY,
  encoding TEXT NOT NULL,             -- identity | zlib
  size INTEGER NOT NULL,              -- bytes before compression
  data BLOB NOT NULL
);

-- One agent workflow on one task. Counts are kept here so that no list has to scan events.
CREATE TABLE runs (
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,            -- UUIDv7
  source TEXT NOT NULL,               -- importer's name, or 'capture', 'execution'
  native_id TEXT,                     -- the id its own log gives it
  source_path TEXT,
  chain TEXT,                         -- digest over the imported events: identity of an imported run
  task TEXT NOT NULL DEFAULT '',
  status TEXT NOT NULL,               -- running | completed | failed | interrupted
  outcome TEXT NOT NULL DEFAULT 'unknown',
  outcome_reason TEXT,
  note TEXT,                          -- a person's remark
  started_at REAL,                    -- Unix seconds
  ended_at REAL,
  duration_seconds REAL,
  agents TEXT NOT NULL DEFAULT '[]',  -- JSON names in order of first appearance
  events INTEGER NOT NULL DEFAULT 0,  -- how many; also the last seq
  kinds TEXT NOT NULL DEFAULT '{}',   -- JSON {kind: count}
  roles TEXT NOT NULL DEFAULT '{}',   -- JSON {role: count}
  tokens_in INTEGER NOT NULL DEFAULT 0,
  tokens_out INTEGER NOT NULL DEFAULT 0,
  cost_usd REAL,                      -- NULL: unknown
  work_dir TEXT,
  metadata TEXT NOT NULL DEFAULT '{}',
  created_at REAL NOT NULL
);
-- finds the run that a grown or repeated log file continues
CREATE UNIQUE INDEX runs_chain ON runs (chain) WHERE chain IS NOT NULL;

-- A numbered part of a run.
CREATE TABLE steps (
  run INTEGER NOT NULL REFERENCES runs (pk) ON DELETE CASCADE,
  step INTEGER NOT NULL,
  host_id TEXT,                       -- the host's own step id
  title TEXT,
  started_at REAL,
  ended_at REAL,
  agent_transitions TEXT,             -- JSON [{from, to, reason, at}]
  intermediate_artifacts TEXT,        -- JSON [{path, version, at, superseded_by}]
  context_snapshots TEXT,             -- JSON [{at, agent, values}]
  summary TEXT,                       -- JSON StepExecutionSummary
  PRIMARY KEY (run, step)
) WITHOUT ROWID;

-- Append-only facts, never updated, never deleted but with their run.
-- content is what the kind is about: message text, tool arguments, tool result, code, output, reason.
CREATE TABLE events (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES runs (pk) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  step INTEGER NOT NULL DEFAULT 1,
  kind TEXT NOT NULL,
  role TEXT,
  agent TEXT,
  recipient TEXT,
  at REAL,
  content TEXT,                       -- NULL when it is long: see blob
  blob TEXT,                          -- digest of the content in blobs
  reasoning TEXT,
  data TEXT,                          -- JSON: tool, code, record_id and what else the kind has
  duration_seconds REAL,
  tokens_in INTEGER,
  tokens_out INTEGER,
  cost_usd REAL
);
-- a run's timeline, page by page
CREATE UNIQUE INDEX events_run ON events (run, seq);
-- everything one agent did, page by page
CREATE INDEX events_agent ON events (agent, id);
-- full text over content, reasoning and tool names; filled in batches behind meta.fts_watermark
CREATE VIRTUAL TABLE events_fts USING fts5 (
  text, content = '', contentless_delete = 1, tokenize = 'porter unicode61'
);

CREATE TABLE files (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES runs (pk) ON DELETE CASCADE,
  path TEXT NOT NULL,                 -- relative to the work folder, with /
  UNIQUE (run, path)
);
CREATE TABLE file_versions (
  id INTEGER PRIMARY KEY,
  file INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE,
  version INTEGER NOT NULL DEFAULT 1,
  parent_file_id INTEGER REFERENCES file_versions (id),
  digest TEXT NOT NULL,
  size INTEGER NOT NULL,
  created_by_agent TEXT,              -- NULL: it was there before the run
  seq INTEGER,                        -- the event during which it appeared
  at REAL,
  superseded_by TEXT,                 -- 'PATH@VERSION' that took its place
  stored INTEGER NOT NULL DEFAULT 1,  -- 0: too large, only its digest is kept
  UNIQUE (file, version)
);

-- A skill is a name and a pointer to its current version; versions are immutable.
CREATE TABLE skills (
  pk INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  current_version INTEGER NOT NULL,
  created_at REAL NOT NULL,
  created_by_user TEXT
);
CREATE TABLE skill_versions (
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,            -- UUIDv7
  skill INTEGER NOT NULL REFERENCES skills (pk) ON DELETE CASCADE,
  version INTEGER NOT NULL,
  state TEXT NOT NULL,                -- draft | proven | trusted | quarantined | retired
  digest TEXT NOT NULL,               -- of the export document but version, proof and examples
  structure TEXT NOT NULL,            -- digest of the DAG: equal for skills that do the same
  description TEXT NOT NULL DEFAULT '',
  tags TEXT NOT NULL DEFAULT '[]',    -- JSON, also in skill_tags for look-ups
  task_pattern TEXT NOT NULL DEFAULT '',
  examples TEXT NOT NULL DEFAULT '[]',
  body TEXT NOT NULL DEFAULT '',
  variables TEXT NOT NULL DEFAULT '[]',
  input_schema TEXT NOT NULL DEFAULT '{}',
  output_schema TEXT NOT NULL DEFAULT '{}',
  output_bindings TEXT NOT NULL DEFAULT '{}',
  dag_template TEXT NOT NULL DEFAULT '[]',
  agent_sequence TEXT NOT NULL DEFAULT '[]',
  context_requirements TEXT NOT NULL DEFAULT '{}',
  why TEXT NOT NULL DEFAULT '[]',
  extras TEXT NOT NULL DEFAULT '{}',
  source_run_id TEXT,                 -- the first source run; all of them in source_run_ids
  source_run_ids TEXT NOT NULL DEFAULT '[]',
  source_step_range TEXT NOT NULL DEFAULT 'all',
  is_public INTEGER NOT NULL DEFAULT 0,
  parent_skill_id TEXT,               -- id of the version it was made from
  created_at REAL NOT NULL,
  reason TEXT,                        -- why this version was made
  lineage TEXT NOT NULL DEFAULT '{}', -- JSON: runs, executions, adaptations, skills it was made from
  UNIQUE (skill, version)
);
-- skills that do the same
CREATE INDEX skill_versions_structure ON skill_versions (structure);
CREATE TABLE skill_tags (
  skill_version INTEGER NOT NULL REFERENCES skill_versions (pk) ON DELETE CASCADE,
  tag TEXT NOT NULL,
  PRIMARY KEY (tag, skill_version)
) WITHOUT ROWID;
CREATE TABLE skill_artifacts (
  id INTEGER PRIMARY KEY,
  skill_version INTEGER NOT NULL REFERENCES skill_versions (pk) ON DELETE CASCADE,
  artifact_type TEXT NOT NULL,
  name TEXT NOT NULL,
  file_path TEXT,
  digest TEXT NOT NULL REFERENCES blobs (digest),
  checksum TEXT GENERATED ALWAYS AS (digest) VIRTUAL,
  description TEXT NOT NULL DEFAULT '',
  language TEXT,
  is_template INTEGER NOT NULL DEFAULT 0,
  template_variables TEXT NOT NULL DEFAULT '[]',
  size_bytes INTEGER NOT NULL,
  created_at REAL NOT NULL,
  UNIQUE (skill_version, name)
);
-- full text over the current version of each skill; rowid = skill_versions.pk
CREATE VIRTUAL TABLE skills_fts USING fts5 (
  name, description, task_pattern, tags, examples, body,
  content = '', contentless_delete = 1, tokenize = 'porter unicode61'
);
-- What each row of the vec0 table stands for; vec0 rowid = skill_vectors.id.
CREATE TABLE skill_vectors (
  id INTEGER PRIMARY KEY,
  skill_version INTEGER NOT NULL REFERENCES skill_versions (pk) ON DELETE CASCADE,
  field TEXT NOT NULL,                -- profile | example | node | body
  text_digest TEXT NOT NULL,
  model TEXT NOT NULL,                -- identity of the embedding model and form
  UNIQUE (skill_version, field, text_digest)
);

CREATE TABLE proofs (
  id INTEGER PRIMARY KEY,
  skill_version INTEGER NOT NULL REFERENCES skill_versions (pk) ON DELETE CASCADE,
  level TEXT NOT NULL,                -- reconstructs | replays | generalises
  passed INTEGER NOT NULL,
  compared INTEGER NOT NULL,
  failures TEXT NOT NULL DEFAULT '[]',
  detail TEXT NOT NULL DEFAULT '{}',
  at REAL,                            -- NULL: it came with an import, nobody has run it here
  duration_seconds REAL
);
-- the proofs of one version
CREATE INDEX proofs_version ON proofs (skill_version, id);

-- One use of a skill version. Name and version stay when the skill is deleted.
CREATE TABLE executions (
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,            -- UUIDv7
  skill_version INTEGER REFERENCES skill_versions (pk) ON DELETE SET NULL,
  skill_name TEXT NOT NULL,
  version INTEGER NOT NULL,
  run_id TEXT,
  task_description TEXT NOT NULL DEFAULT '',
  confidence REAL,
  started_at REAL NOT NULL,
  completed_at REAL,
  duration_seconds REAL,
  cost_usd REAL,
  success INTEGER,                    -- NULL while it runs
  error_message TEXT,
  inputs TEXT NOT NULL DEFAULT '{}',
  outputs TEXT NOT NULL DEFAULT '{}',
  artifacts TEXT NOT NULL DEFAULT '[]',
  adapted INTEGER NOT NULL DEFAULT 0,
  adaptation_reason TEXT,
  context_diff TEXT NOT NULL DEFAULT '{}'
);
-- a skill's history, newest first, also after its deletion
CREATE INDEX executions_skill ON executions (skill_name, pk);
-- a version's ledger
CREATE INDEX executions_version ON executions (skill_version, success);
CREATE TABLE adaptations (
  execution INTEGER NOT NULL REFERENCES executions (pk) ON DELETE CASCADE,
  ordinal INTEGER NOT NULL,
  type TEXT NOT NULL,
  target TEXT NOT NULL,
  before TEXT,                        -- JSON
  after TEXT,                         -- JSON
  reason TEXT NOT NULL DEFAULT '',
  evidence TEXT NOT NULL DEFAULT '{}',
  PRIMARY KEY (execution, ordinal)
) WITHOUT ROWID;
CREATE TABLE checkpoints (
  execution INTEGER NOT NULL REFERENCES executions (pk) ON DELETE CASCADE,
  ordinal INTEGER NOT NULL,
  node TEXT NOT NULL,
  at REAL NOT NULL,
  state TEXT NOT NULL,                -- JSON: what later nodes need
  PRIMARY KEY (execution, ordinal)
) WITHOUT ROWID;
"""

LEARNING = """
-- What was done to a skill, by whom and why; stays when the skill is deleted.
CREATE TABLE skill_history (
  id INTEGER PRIMARY KEY,
  skill_name TEXT NOT NULL,
  action TEXT NOT NULL,               -- created | current | rolled_back | state | deleted
  version INTEGER NOT NULL,           -- the version it was done to
  from_version INTEGER,               -- the version that was current before
  detail TEXT NOT NULL DEFAULT '{}',  -- JSON, e.g. the states before and after
  reason TEXT NOT NULL DEFAULT '',
  by_user TEXT,
  at REAL NOT NULL
);
-- a skill's history in order
CREATE INDEX skill_history_skill ON skill_history (skill_name, id);

-- Changes that the ledger suggests. What was rejected stays, so that nothing is proposed twice.
CREATE TABLE proposals (
  id INTEGER PRIMARY KEY,
  skill_name TEXT NOT NULL,
  version INTEGER NOT NULL,           -- the version whose executions gave the evidence
  fingerprint TEXT NOT NULL,          -- digest over kind, target and change
  kind TEXT NOT NULL,
  target TEXT NOT NULL,
  change TEXT NOT NULL DEFAULT '{}',
  evidence TEXT NOT NULL DEFAULT '{}',
  expected TEXT NOT NULL DEFAULT '{}',
  status TEXT NOT NULL DEFAULT 'open',  -- open | applied | rejected
  verdict TEXT NOT NULL DEFAULT '{}', -- JSON: the proof and the comparison with the parent
  new_version INTEGER,
  reason TEXT NOT NULL DEFAULT '',
  at REAL NOT NULL,
  decided_at REAL,
  UNIQUE (skill_name, fingerprint)
);

-- What stands for a stretch of a long run where all of it would be too much.
CREATE TABLE summaries (
  run INTEGER NOT NULL REFERENCES runs (pk) ON DELETE CASCADE,
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  method TEXT NOT NULL,               -- extractive | the model's name
  text TEXT NOT NULL,
  tokens INTEGER NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (run, first_seq)
) WITHOUT ROWID;
-- How far skills were extracted from a run that is still going.
CREATE TABLE extraction_progress (
  run INTEGER PRIMARY KEY REFERENCES runs (pk) ON DELETE CASCADE,
  seq INTEGER NOT NULL,               -- the last event that was looked at
  state TEXT NOT NULL,                -- JSON: what is needed to go on from there
  at REAL NOT NULL
);
-- Runs that were moved to a second file, which can still be read.
CREATE TABLE archived_runs (
  id TEXT PRIMARY KEY,                -- UUIDv7 of the run
  archive TEXT NOT NULL,              -- path of the file
  source TEXT NOT NULL,
  task TEXT NOT NULL,
  status TEXT NOT NULL,
  outcome TEXT NOT NULL,
  started_at REAL,
  duration_seconds REAL,
  events INTEGER NOT NULL,
  tokens_in INTEGER NOT NULL,
  tokens_out INTEGER NOT NULL,
  cost_usd REAL,
  chain TEXT,                         -- so that its log, read again, is known
  archived_at REAL NOT NULL
) WITHOUT ROWID;
-- finds the archived run that a repeated log file is
CREATE UNIQUE INDEX archived_runs_chain ON archived_runs (chain) WHERE chain IS NOT NULL;
"""
"""What came with learning (the third version of the file)."""

_VIEWS = """
-- For people with the sqlite3 shell or Datasette.
CREATE VIEW messages AS
SELECT
  e.id, r.id AS run_id, e.seq, e.step, e.kind, e.role, e.agent AS sender, e.recipient,
  e.agent AS agent_role, e.at AS timestamp,
  CASE WHEN e.kind NOT IN ('code', 'tool_call') THEN
    coalesce(e.content, (SELECT CAST(b.data AS TEXT) FROM blobs b
                         WHERE b.digest = e.blob AND b.encoding = 'identity')) END AS content,
  e.blob AS content_digest,
  e.reasoning,
  CASE WHEN e.kind IN ('tool_call', 'tool_result') THEN e.data ->> '$.tool' END AS tool_calls,
  CASE WHEN e.kind = 'code' THEN e.content END AS code_generated,
  CASE WHEN e.kind = 'code_result' THEN e.data ->> '$.code' END AS execution_result,
  e.duration_seconds, e.tokens_in, e.tokens_out, e.cost_usd
FROM events e JOIN runs r ON r.pk = e.run;

CREATE VIEW agent_transitions AS
SELECT r.id AS run_id, e.step, e.seq, e.agent AS from_agent, e.recipient AS to_agent,
       e.content AS reason, e.at AS timestamp
FROM events e JOIN runs r ON r.pk = e.run WHERE e.kind = 'transition';

CREATE VIEW skill_metrics AS
SELECT
  s.name, v.id AS skill_id, v.version, v.state,
  count(x.pk) AS executions,
  coalesce(sum(x.success = 1), 0) AS success_count,
  coalesce(sum(x.success = 0), 0) AS failure_count,
  avg(x.success) AS success_rate,
  avg(x.duration_seconds) AS avg_execution_time_seconds,
  avg(x.cost_usd) AS avg_cost_usd,
  avg(x.adapted) AS adaptation_rate,
  max(x.started_at) AS last_used_at
FROM skills s
JOIN skill_versions v ON v.skill = s.pk
LEFT JOIN executions x ON x.skill_version = v.pk
GROUP BY v.pk;
"""

SCHEMA = _FOUNDATION + LEARNING + _VIEWS

APPLICATION_ID = 0x534B534D
"""``PRAGMA application_id`` of our files ("SKSM")."""
