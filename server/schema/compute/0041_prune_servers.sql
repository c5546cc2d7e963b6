-- What is deleted is kept for a while and then goes, oldest first; its user data go at once.
create index server_deleted on compute.server (deleted_at) where deleted_at is not null;
-- What changed since a moment, of every project.
create index server_changed on compute.server (updated_at);

update compute.server set user_data = null where deleted_at is not null and user_data is not null;
