-- When it was last tried in vain to remove them: what has waited longest comes next, so that those that cannot go keep
-- no others from it.
alter table block_storage.leftover add column tried_at timestamptz(3);
alter table block_storage.backup_data add column tried_at timestamptz(3);
