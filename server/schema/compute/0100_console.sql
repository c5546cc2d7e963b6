-- What lets somebody to a server's console, for a while: the secret itself is kept nowhere. It is for the machine on this
-- host, and gone as soon as the server is gone or elsewhere, whatever made it so.
create table compute.console_token (
  token_hash bytea not null,
  server_id uuid not null references compute.server (id) on delete cascade,
  host text not null,
  console_type text not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  constraint console_token_pkey primary key (token_hash)
);
create index console_token_server on compute.console_token (server_id);
create index console_token_expires on compute.console_token (expires_at);

create function compute.end_console_tokens() returns trigger language plpgsql as $$
begin
  delete from compute.console_token where server_id = new.id;
  return null;
end
$$;
create trigger server_ends_console_tokens after update of host, deleted_at on compute.server
  for each row when (old.host is distinct from new.host or new.deleted_at is not null)
  execute function compute.end_console_tokens();
