-- Keys of tokens, receipts and credentials, one set for every process of the cloud. Each is sealed with a secret that
-- is not in the database (ADR 11).
create table identity.fernet_key (
  ring text not null check (ring in ('token', 'receipt', 'credential')),
  -- The highest of a ring is staged: it opens messages already and will sign next. The one below it signs.
  number bigint not null check (number > 0),
  sealed_key text not null,
  created_at timestamptz not null default now(),
  -- since when it signs; null for the staged one
  primary_at timestamptz,
  primary key (ring, number)
);

-- A rotation reaches every process at once.
create function identity.tell_keys() returns trigger language plpgsql as $$
begin
  perform pg_notify('identity_keys', '');
  return null;
end $$;

create trigger tell_keys after insert or update or delete on identity.fernet_key
  for each statement execute function identity.tell_keys();
