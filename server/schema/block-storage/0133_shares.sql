-- What several hosts reach: pools of the same share are the same storage, and what is promised counts for all of them.
alter table block_storage.pool add column share text;
create index pool_of_share on block_storage.pool (share) where share is not null;
