CREATE TABLE pawl.undo_7_2 (batch_id bigint PRIMARY KEY, k1 text[], k2 integer[], o1 numeric(12,0)[], o2 text[], w1 numeric(12,0)[], w2 text[])
CREATE TABLE pawl.undo_7_2 (batch_id bigint NOT NULL, c1 bigint, c2 numeric(12,2)); CREATE INDEX ON pawl.undo_7_2 (batch_id)
CREATE TABLE pawl.undo_7_2 (batch_id bigint PRIMARY KEY, k1 bigint[], h bigint[])
