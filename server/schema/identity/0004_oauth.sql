-- OAuth 1.0a (RFC 5849): a consumer asks for access to a project, a user gives it some of his roles there.
create table identity.oauth_request_token (
  id text primary key,
  consumer_id text not null references identity.oauth_consumer (id) on delete cascade,
  secret text not null,
  project_id text not null references identity.project (id) on delete cascade,
  -- set when a user has authorized it
  verifier text,
  authorizing_user_id text references identity."user" (id) on delete cascade,
  role_ids text[],
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  check ((verifier is null) = (authorizing_user_id is null) and (verifier is null) = (role_ids is null))
);
create index oauth_request_token_consumer on identity.oauth_request_token (consumer_id);
create index oauth_request_token_project on identity.oauth_request_token (project_id);
create index oauth_request_token_user on identity.oauth_request_token (authorizing_user_id);

create table identity.oauth_access_token (
  id text primary key,
  consumer_id text not null references identity.oauth_consumer (id) on delete cascade,
  secret text not null,
  authorizing_user_id text not null references identity."user" (id) on delete cascade,
  project_id text not null references identity.project (id) on delete cascade,
  role_ids text[] not null,
  expires_at timestamptz,
  created_at timestamptz not null default now()
);
create index oauth_access_token_consumer on identity.oauth_access_token (consumer_id);
create index oauth_access_token_user on identity.oauth_access_token (authorizing_user_id, created_at);
create index oauth_access_token_project on identity.oauth_access_token (project_id);

-- A signed request is good once: what was signed with it is remembered for as long as its time would be taken.
create table identity.oauth_nonce (
  consumer_id text not null references identity.oauth_consumer (id) on delete cascade,
  nonce text not null,
  used_at timestamptz not null,
  primary key (consumer_id, nonce)
);
create index oauth_nonce_used on identity.oauth_nonce (used_at);

create trigger tell_change after insert or update or delete on identity.oauth_access_token
  for each statement execute function identity.tell_change();
