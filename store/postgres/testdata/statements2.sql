-- What the program of schema 2 says to the database. It may be at work beside newer ones while an upgrade is rolled out.

-- sqlAddEvents
INSERT INTO events (no, hash, until) SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::timestamptz[])
ON CONFLICT (no, hash) DO UPDATE SET until = excluded.until

-- sqlAddKeys
INSERT INTO keys (key, conversation) SELECT key, $2 FROM unnest($1::text[]) AS t (key) ORDER BY key ON CONFLICT (key) DO NOTHING

-- sqlAddLines
INSERT INTO lines (no, n, at, data) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::bytea[])

-- sqlAddMeta
INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING

-- sqlAddPeople
INSERT INTO people (person, conversation) SELECT unnest($1::text[]), $2 ON CONFLICT DO NOTHING

-- sqlAgain
UPDATE deliveries SET begun = false, failed = $4, attempts = $5, not_before = $6
WHERE no = $1 AND direction = $2 AND place = $3

-- sqlAllLines
SELECT n, at, data FROM lines WHERE no = $1 ORDER BY n DESC LIMIT $2

-- sqlAtWork
SELECT count(*) FROM replicas WHERE at > clock_timestamp() - $1::bigint * interval '1 second'

-- sqlBeat
INSERT INTO replicas (id, at) VALUES ($1, clock_timestamp()) ON CONFLICT (id) DO UPDATE SET at = excluded.at

-- sqlBuryDelivery
INSERT INTO letters (id, conversation, direction, reason, at, delivery, kind, session, accepted, not_before, failed, attempts, body)
SELECT lpad(to_hex(greatest((extract(epoch FROM $1::timestamptz) * 1000)::bigint, 0)), 12, '0') || lpad(to_hex(nextval('letter_numbers')), 12, '0'),
$2, direction, $3, $1, id, kind, session, accepted, not_before, $7, $8, body
FROM deliveries WHERE no = $4 AND direction = $5 AND place = $6

-- sqlBuryEvent
INSERT INTO letters (id, conversation, direction, reason, at, delivery, kind, session, accepted, not_before, body)
VALUES (lpad(to_hex(greatest((extract(epoch FROM $1::timestamptz) * 1000)::bigint, 0)), 12, '0') || lpad(to_hex(nextval('letter_numbers')), 12, '0'),
$2, '', $3, $1, $4, $5, $6, $7, $8, $9)

-- sqlBusy
SELECT DISTINCT no FROM lanes WHERE no = ANY($1) AND (head IS NOT NULL OR until > $2)

-- sqlClaim
UPDATE lanes AS l SET token = $3, until = coalesce($2::timestamptz, statement_timestamp()) + $4::bigint * interval '1 microsecond',
at = coalesce($2::timestamptz, statement_timestamp()) + $4::bigint * interval '1 microsecond'
FROM (SELECT no, direction, token FROM lanes WHERE direction = $1 AND at <= coalesce($2::timestamptz, statement_timestamp())
ORDER BY at LIMIT 1 FOR UPDATE SKIP LOCKED) AS q WHERE l.no = q.no AND l.direction = q.direction
RETURNING l.no, l.conversation, l.until - $4::bigint * interval '1 microsecond', q.token <> 0

-- sqlCopyOf
SELECT coalesce((SELECT convert_from(value, 'UTF8') FROM meta WHERE name = 'copying'), '')

-- sqlCounts
SELECT (SELECT count(*) FROM letters), (SELECT count(*) FROM conversations WHERE status <> '')

-- sqlDelMeta
DELETE FROM meta WHERE name LIKE 'check %' AND name <> $1

-- sqlDeliver
INSERT INTO deliveries (no, direction, place, id, kind, session, accepted, not_before, body)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::bytea[])

-- sqlDiscard
DELETE FROM letters WHERE id = $1

-- sqlDone
DELETE FROM deliveries WHERE no = $1 AND direction = $2 AND place <= $3

-- sqlDrop
DELETE FROM deliveries WHERE no = $1 AND direction = $2

-- sqlDue
SELECT id FROM conversations WHERE due <= coalesce($1::timestamptz, statement_timestamp())
ORDER BY due, id LIMIT $2

-- sqlDurable
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'

-- sqlEmpty
UPDATE lanes AS l SET head = NULL, due = NULL, at = NULL
WHERE no = $1 AND direction = $2 AND NOT EXISTS (SELECT FROM deliveries AS d WHERE d.no = $1 AND d.direction = $2)

-- sqlEncoding
SELECT current_setting('server_encoding'), current_setting('fsync')

-- sqlEnd
DELETE FROM lanes WHERE no = $1 AND direction = $2

-- sqlEraseConversations
DELETE FROM conversations WHERE id = ANY($1)

-- sqlEraseDeliveries
DELETE FROM deliveries WHERE no = ANY($1)

-- sqlEraseEvents
DELETE FROM events WHERE no = ANY($1)

-- sqlEraseKeys
DELETE FROM keys WHERE key IN (SELECT unnest(keys) FROM conversations WHERE id = ANY($1)) AND conversation = ANY($1)

-- sqlEraseLanes
DELETE FROM lanes WHERE no = ANY($1)

-- sqlEraseLetterRange
DELETE FROM letters WHERE id > $1 AND ($2 = '' OR id <= $2)

-- sqlEraseLetters
DELETE FROM letters WHERE conversation = ANY($1)

-- sqlEraseLines
DELETE FROM lines WHERE no = ANY($1)

-- sqlErasePeople
DELETE FROM people WHERE person IN (SELECT unnest(people) FROM conversations WHERE id = ANY($1)) AND conversation = ANY($1)

-- sqlFind
SELECT conversation FROM keys WHERE key = $1

-- sqlFlush
SELECT pg_logical_emit_message(true, 'snowbot', '')

-- sqlForget
DELETE FROM replicas WHERE id IN (SELECT id FROM replicas
WHERE at < clock_timestamp() - $1::bigint * interval '1 second' FOR UPDATE SKIP LOCKED)

-- sqlGetMeta
SELECT value FROM meta WHERE name = $1

-- sqlHasVersions
SELECT to_regclass('goose_db_version') IS NOT NULL

-- sqlIsCopy
SELECT EXISTS (SELECT FROM meta WHERE name = 'copying')

-- sqlKnown
SELECT hash FROM unnest($2::uuid[]) AS asked (hash) WHERE EXISTS (SELECT FROM events AS e
WHERE e.no = (SELECT no FROM conversations WHERE id = $1) AND e.hash = asked.hash
AND e.until > coalesce($3::timestamptz, clock_timestamp()))

-- sqlLane
SELECT token, due FROM lanes WHERE no = (SELECT no FROM conversations WHERE id = $1) AND direction = $2 FOR UPDATE

-- sqlLaneHead
SELECT place, id, not_before, begun, failed, attempts FROM deliveries
WHERE no = (SELECT no FROM conversations WHERE id = $1) AND direction = $2 ORDER BY place LIMIT $3

-- sqlLeave
DELETE FROM replicas WHERE id = $1

-- sqlLeftOver
SELECT EXISTS (SELECT FROM conversations WHERE substring(data FROM 2 FOR 4) <> $1)
OR EXISTS (SELECT FROM deliveries WHERE substring(body FROM 2 FOR 4) <> $1)
OR EXISTS (SELECT FROM lines WHERE substring(data FROM 2 FOR 4) <> $1)
OR EXISTS (SELECT FROM letters WHERE substring(body FROM 2 FOR 4) <> $1)

-- sqlLetterOf
SELECT conversation FROM letters WHERE id = $1 AND direction <> ''

-- sqlLetters
SELECT delivery, kind, session, accepted, not_before, false, failed, attempts, body, id, conversation, direction, reason, at
FROM letters WHERE id > $1 AND ($2 = '' OR conversation = $2) AND ($3 = '' OR reason = $3)
AND ($4::timestamptz IS NULL OR at >= $4) AND ($5::timestamptz IS NULL OR at < $5) ORDER BY id LIMIT $6

-- sqlLines
SELECT n, at, data FROM lines WHERE no = (SELECT no FROM conversations WHERE id = $1)
ORDER BY n DESC LIMIT $2

-- sqlListen
LISTEN snowbot

-- sqlLoad
SELECT no, id, status, keys, people, due, updated, data FROM conversations WHERE id = $1

-- sqlLock
SELECT no, id, status, keys, people, due, updated, lines, placed, data
FROM conversations WHERE id = ANY($1) ORDER BY id FOR UPDATE

-- sqlLockIdle
SELECT no, id FROM conversations AS c WHERE filed <= $1 AND status = '' AND due IS NULL AND updated < $2
AND NOT EXISTS (SELECT FROM lanes AS l WHERE l.no = c.no AND (l.head IS NOT NULL OR l.until > $3))
ORDER BY filed LIMIT $4 FOR UPDATE SKIP LOCKED

-- sqlLockLetter
SELECT direction FROM letters WHERE id = $1 FOR UPDATE

-- sqlLockMeta
LOCK TABLE meta IN EXCLUSIVE MODE

-- sqlLockPerson
SELECT no, id FROM conversations WHERE id IN (SELECT conversation FROM people WHERE person = $1)
ORDER BY id FOR UPDATE

-- sqlLockRange
SELECT no, id FROM conversations WHERE id > $1 AND ($2 = '' OR id <= $2) ORDER BY id FOR UPDATE

-- sqlLockSchema
SELECT pg_advisory_lock($1)

-- sqlMarkCopy
INSERT INTO meta (name, value) VALUES ('copying', convert_to($1, 'UTF8'))

-- sqlMeta
SELECT name, value FROM meta

-- sqlMove
WITH gone AS (DELETE FROM deliveries WHERE no = $1 AND direction = $2 RETURNING *)
INSERT INTO deliveries (no, direction, place, id, kind, session, accepted, not_before, failed, attempts, body)
SELECT no, $3, $4 + row_number() OVER (ORDER BY place), id, kind, session, coalesce($5, accepted), not_before, failed, attempts, body
FROM gone

-- sqlNotEmpty
SELECT EXISTS (SELECT FROM conversations) OR EXISTS (SELECT FROM letters)

-- sqlNotify
SELECT pg_notify('snowbot', $1)

-- sqlNow
SELECT coalesce($1::timestamptz, clock_timestamp())

-- sqlOf
SELECT conversation FROM people WHERE person = $1 ORDER BY conversation

-- sqlOldest
SELECT coalesce((SELECT convert_from(value, 'UTF8')::bigint FROM meta WHERE name = 'oldest'), $1)

-- sqlOwners
SELECT key, conversation FROM keys WHERE key = ANY($1)

-- sqlPlaced
UPDATE conversations SET placed = $2 WHERE id = $1

-- sqlPlaceholders
INSERT INTO conversations (id, updated, filed, data)
SELECT id, $2, 0, '' FROM unnest($1::text[]) AS t (id) ORDER BY id
ON CONFLICT (id) DO NOTHING RETURNING no, id

-- sqlPruneCommits
DELETE FROM commits WHERE ctid = ANY (ARRAY (SELECT ctid FROM commits
WHERE at < statement_timestamp() - $1::bigint * interval '1 second' ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED))

-- sqlPruneEvents
DELETE FROM events WHERE ctid = ANY (ARRAY (SELECT ctid FROM events
WHERE until <= coalesce($1::timestamptz, statement_timestamp()) ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED))

-- sqlPruneLetters
DELETE FROM letters WHERE ctid = ANY (ARRAY (SELECT ctid FROM letters
WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED))

-- sqlPruneLines
DELETE FROM lines WHERE ctid = ANY (ARRAY (SELECT ctid FROM lines
WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED))

-- sqlRefresh
INSERT INTO lanes AS l (no, direction, conversation, head, due, at)
SELECT q.no, q.direction, q.conversation, d.place, greatest(d.not_before, $4), CASE WHEN q.direction <> 'held' THEN greatest(d.not_before, $4) END
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS q (no, direction, conversation)
CROSS JOIN LATERAL (SELECT place, not_before FROM deliveries WHERE no = q.no AND direction = q.direction ORDER BY place LIMIT 1) AS d
ON CONFLICT (no, direction) DO UPDATE SET head = excluded.head,
due = CASE WHEN l.head = excluded.head THEN l.due ELSE excluded.due END,
at = CASE WHEN l.direction <> 'held' THEN greatest(l.until, CASE WHEN l.head = excluded.head THEN l.due ELSE excluded.due END) END

-- sqlRelaxed
SELECT set_config('synchronous_commit', 'off', true)

-- sqlRemoveKeys
DELETE FROM keys WHERE key = ANY($1) AND conversation = $2

-- sqlRemovePeople
DELETE FROM people WHERE person = ANY($1) AND conversation = $2

-- sqlRemovePlaceholder
DELETE FROM conversations WHERE no = $1 AND data = ''

-- sqlReplicas
SELECT count(*) FROM replicas

-- sqlResealConversation
UPDATE conversations SET data = $3 WHERE id = $1 AND data = $2

-- sqlResealDelivery
UPDATE deliveries SET body = $5 WHERE no = $1 AND direction = $2 AND place = $3 AND body = $4

-- sqlResealLetter
UPDATE letters SET body = $3 WHERE id = $1 AND body = $2

-- sqlResealLine
UPDATE lines SET data = $4 WHERE no = $1 AND n = $2 AND data = $3

-- sqlResolve
INSERT INTO commits (token) VALUES ($1) ON CONFLICT (token) DO NOTHING

-- sqlRest
UPDATE lanes SET token = 0, until = NULL, head = $3, due = $4, at = $4 WHERE no = $1 AND direction = $2

-- sqlRestoreConversation
INSERT INTO conversations (id, status, keys, people, due, updated, filed, lines, placed, data)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING no

-- sqlRestoreDelivery
INSERT INTO deliveries (no, direction, place, id, kind, session, accepted, not_before, begun, failed, attempts, body)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)

-- sqlRestoreKeys
INSERT INTO keys (key, conversation) SELECT unnest($1::text[]), $2
ON CONFLICT (key) DO UPDATE SET conversation = excluded.conversation

-- sqlRestoreLetter
INSERT INTO letters (id, conversation, direction, reason, at, delivery, kind, session, accepted, not_before, failed, attempts, body)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)

-- sqlRetry
INSERT INTO deliveries (no, direction, place, id, kind, session, accepted, body)
SELECT $2, direction, $3, delivery, kind, session, $4, body FROM letters WHERE id = $1

-- sqlRun
SELECT id, kind, session, accepted, not_before, begun, failed, attempts, body FROM (
SELECT *, sum(octet_length(body) - $4::bigint) OVER (ORDER BY place) AS size, row_number() OVER (ORDER BY place) AS n
FROM (SELECT * FROM deliveries WHERE no = $1 AND direction = $2 ORDER BY place LIMIT $3) AS run) AS run
WHERE n = 1 OR size <= $5 ORDER BY n

-- sqlSchema
SELECT coalesce(current_schema(), '')

-- sqlSealedConversations
SELECT no, id, data FROM conversations WHERE id > $1 ORDER BY id LIMIT $2

-- sqlSealedDeliveries
SELECT d.no, d.direction, d.place, c.id, d.id, d.body FROM conversations AS c JOIN deliveries AS d ON d.no = c.no
WHERE c.id > $1 AND c.id <= $2 AND substring(d.body FROM 2 FOR 4) <> $3

-- sqlSealedLetters
SELECT id, conversation, delivery, body FROM letters WHERE id > $1 ORDER BY id LIMIT $2

-- sqlSealedLines
SELECT l.no, l.n, c.id, l.data FROM conversations AS c JOIN lines AS l ON l.no = c.no
WHERE c.id > $1 AND c.id <= $2 AND substring(l.data FROM 2 FOR 4) <> $3

-- sqlSessions
SELECT no, id, status, keys, people, due, updated, data FROM conversations
WHERE status <> '' AND id > $1 ORDER BY id LIMIT $2

-- sqlSetBegun
UPDATE deliveries SET begun = $4 WHERE no = $1 AND direction = $2 AND place = $3

-- sqlSetMeta
UPDATE meta SET value = $2 WHERE name = $1

-- sqlSize
SELECT (SELECT count(*) FROM conversations), (SELECT count(*) FROM letters)

-- sqlSoon
SELECT (extract(epoch FROM at - coalesce($2::timestamptz, statement_timestamp())) * 1000000)::bigint
FROM lanes WHERE direction = $1 AND at IS NOT NULL ORDER BY at LIMIT 1

-- sqlSweep
DELETE FROM lanes WHERE no = $1 AND direction = $2 AND head IS NULL AND token = 0

-- sqlToken
INSERT INTO commits (token) VALUES ($1)

-- sqlUnmarkCopy
DELETE FROM meta WHERE name = 'copying'

-- sqlVersion
SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied

-- sqlWaiting
SELECT direction, count(*) FROM deliveries GROUP BY direction

-- sqlWholeDeliveries
SELECT id, kind, session, accepted, not_before, begun, failed, attempts, body, no, direction FROM deliveries
WHERE no = ANY($1) ORDER BY no, direction, place

-- sqlWholeEvents
SELECT no, hash, ceil(extract(epoch FROM until))::bigint FROM events WHERE no = ANY($1)
AND ceil(extract(epoch FROM until)) > $2::bigint ORDER BY no, hash

-- sqlWholeLetters
SELECT delivery, kind, session, accepted, not_before, false, failed, attempts, body, id, conversation, direction, reason, at
FROM letters WHERE id > $1 ORDER BY id LIMIT $2

-- sqlWholeLines
SELECT no, n, at, data FROM lines WHERE no = ANY($1) ORDER BY no, n

-- sqlWholeRecords
SELECT no, id, status, keys, people, due, updated, data, lines FROM conversations WHERE id > $1 ORDER BY id LIMIT $2

-- sqlWriteNames
UPDATE conversations SET keys = $2, people = $3 WHERE id = $1

-- sqlWriteRecords
UPDATE conversations AS c SET status = q.status, due = q.due, updated = $2, filed = $3, lines = q.lines, placed = q.placed, data = q.data
FROM unnest($1::text[], $4::text[], $5::timestamptz[], $6::bigint[], $7::bigint[], $8::bytea[]) AS q (id, status, due, lines, placed, data)
WHERE c.id = q.id
