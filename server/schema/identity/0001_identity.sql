-- Who may do what where: domains, projects, users, groups, roles, assignments, the catalog, and what hangs on them.
-- There is no table of tokens: a token carries its facts encrypted, and what it may do is read here each time.
create schema identity;

-- A domain is a project with is_domain; its id is the domain_id of what it holds. One tree, one table.
create table identity.project (
  id text primary key,
  name text not null,
  is_domain boolean not null default false,
  -- null for a domain itself
  domain_id text references identity.project (id),
  -- the domain for a project at the top
  parent_id text references identity.project (id),
  is_enabled boolean not null default true,
  description text not null default '',
  tags text[] not null default '{}',
  options jsonb not null default '{}',
  -- attributes that Keystone keeps without knowing them
  extra jsonb not null default '{}',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check (is_domain = (domain_id is null) and is_domain = (parent_id is null))
);
create unique index project_name on identity.project (domain_id, name) where not is_domain;
create unique index domain_name on identity.project (name) where is_domain;
create index project_parent on identity.project (parent_id);
create index project_tags on identity.project using gin (tags);

create table identity."user" (
  id text primary key,
  name text not null,
  domain_id text not null references identity.project (id),
  is_enabled boolean not null default true,
  default_project_id text,
  options jsonb not null default '{}',
  extra jsonb not null default '{}',
  -- A token names the epoch it was made in; raising it makes every earlier token of the user worthless at once.
  token_epoch bigint not null default 1,
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint user_name unique (domain_id, name)
);

-- Written at each login, so apart from the rows whose change empties the token caches.
create table identity.login_state (
  user_id text primary key references identity."user" (id) on delete cascade,
  failed_count integer not null default 0,
  failed_at timestamptz,
  last_login_at timestamptz
);

-- The newest row of a user is the password in force; the older ones are its history.
create table identity.password (
  id bigint generated always as identity primary key,
  user_id text not null references identity."user" (id) on delete cascade,
  hash text not null,
  -- set by the user and not by an administrator
  is_self_service boolean not null default false,
  created_at timestamptz not null default now(),
  expires_at timestamptz
);
create index password_user on identity.password (user_id, id desc);

create table identity."group" (
  id text primary key,
  name text not null,
  domain_id text not null references identity.project (id),
  description text not null default '',
  extra jsonb not null default '{}',
  created_at timestamptz not null default now(),
  constraint group_name unique (domain_id, name)
);

create table identity.group_member (
  user_id text not null references identity."user" (id) on delete cascade,
  group_id text not null references identity."group" (id) on delete cascade,
  primary key (user_id, group_id)
);
create index group_member_group on identity.group_member (group_id);

create table identity.role (
  id text primary key,
  name text not null,
  -- null for a role that counts everywhere; a domain's own role only stands for the roles it implies
  domain_id text references identity.project (id) on delete cascade,
  description text,
  options jsonb not null default '{}',
  extra jsonb not null default '{}',
  created_at timestamptz not null default now(),
  constraint role_name unique nulls not distinct (domain_id, name)
);

create table identity.implied_role (
  prior_role_id text not null references identity.role (id) on delete cascade,
  implied_role_id text not null references identity.role (id) on delete cascade,
  primary key (prior_role_id, implied_role_id)
);
create index implied_role_implied on identity.implied_role (implied_role_id);

create table identity.assignment (
  user_id text references identity."user" (id) on delete cascade,
  group_id text references identity."group" (id) on delete cascade,
  target_kind text not null check (target_kind in ('project', 'domain', 'system')),
  -- null for the system
  target_id text references identity.project (id) on delete cascade,
  role_id text not null references identity.role (id) on delete cascade,
  -- holds for the projects below the target and not for the target
  is_inherited boolean not null default false,
  created_at timestamptz not null default now(),
  check ((user_id is null) <> (group_id is null)),
  check ((target_kind = 'system') = (target_id is null)),
  constraint assignment_once unique nulls not distinct (user_id, group_id, target_kind, target_id, role_id, is_inherited)
);
create index assignment_user on identity.assignment (user_id, target_id) where user_id is not null;
create index assignment_group on identity.assignment (group_id, target_id) where group_id is not null;
create index assignment_target on identity.assignment (target_id);
create index assignment_role on identity.assignment (role_id);

create table identity.region (
  id text primary key,
  parent_region_id text references identity.region (id),
  description text not null default '',
  extra jsonb not null default '{}'
);
create index region_parent on identity.region (parent_region_id);

create table identity.service (
  id text primary key,
  type text not null,
  name text,
  description text,
  is_enabled boolean not null default true,
  extra jsonb not null default '{}',
  created_at timestamptz not null default now()
);

create table identity.endpoint (
  id text primary key,
  service_id text not null references identity.service (id) on delete cascade,
  region_id text references identity.region (id),
  interface text not null check (interface in ('public', 'internal', 'admin')),
  url text not null,
  name text,
  is_enabled boolean not null default true,
  extra jsonb not null default '{}',
  created_at timestamptz not null default now()
);
create index endpoint_service on identity.endpoint (service_id);
create index endpoint_region on identity.endpoint (region_id);

create table identity.endpoint_group (
  id text primary key,
  name text not null,
  description text,
  filters jsonb not null
);

create table identity.project_endpoint (
  project_id text not null references identity.project (id) on delete cascade,
  endpoint_id text not null references identity.endpoint (id) on delete cascade,
  primary key (project_id, endpoint_id)
);
create index project_endpoint_endpoint on identity.project_endpoint (endpoint_id);

create table identity.project_endpoint_group (
  project_id text not null references identity.project (id) on delete cascade,
  endpoint_group_id text not null references identity.endpoint_group (id) on delete cascade,
  primary key (project_id, endpoint_group_id)
);
create index project_endpoint_group_group on identity.project_endpoint_group (endpoint_group_id);

create table identity.credential (
  id text primary key,
  user_id text not null,
  project_id text,
  type text not null,
  -- a Fernet message under a key of its own
  encrypted_blob text not null,
  extra jsonb not null default '{}',
  created_at timestamptz not null default now()
);
create index credential_user on identity.credential (user_id, type);
create index credential_project on identity.credential (project_id);

create table identity.access_rule (
  id text primary key,
  user_id text not null references identity."user" (id) on delete cascade,
  service text,
  path text,
  method text,
  constraint access_rule_once unique nulls not distinct (user_id, service, path, method)
);

create table identity.application_credential (
  id text primary key,
  name text not null,
  description text,
  user_id text not null references identity."user" (id) on delete cascade,
  project_id text not null references identity.project (id) on delete cascade,
  secret_hash text not null,
  expires_at timestamptz,
  is_unrestricted boolean not null default false,
  created_at timestamptz not null default now(),
  constraint application_credential_name unique (user_id, name)
);
create index application_credential_project on identity.application_credential (project_id);

create table identity.application_credential_role (
  application_credential_id text not null references identity.application_credential (id) on delete cascade,
  role_id text not null references identity.role (id) on delete cascade,
  primary key (application_credential_id, role_id)
);
create index application_credential_role_role on identity.application_credential_role (role_id);

create table identity.application_credential_access_rule (
  application_credential_id text not null references identity.application_credential (id) on delete cascade,
  access_rule_id text not null references identity.access_rule (id),
  primary key (application_credential_id, access_rule_id)
);
create index application_credential_access_rule_rule
  on identity.application_credential_access_rule (access_rule_id);

create table identity.trust (
  id text primary key,
  trustor_user_id text not null references identity."user" (id) on delete cascade,
  trustee_user_id text not null references identity."user" (id) on delete cascade,
  project_id text references identity.project (id) on delete cascade,
  is_impersonation boolean not null,
  expires_at timestamptz,
  -- null: any number
  remaining_uses integer check (remaining_uses >= 0),
  redelegation_count integer not null default 0,
  redelegated_trust_id text references identity.trust (id) on delete cascade,
  deleted_at timestamptz,
  extra jsonb not null default '{}',
  created_at timestamptz not null default now()
);
create index trust_trustor on identity.trust (trustor_user_id);
create index trust_trustee on identity.trust (trustee_user_id);
create index trust_project on identity.trust (project_id);
create index trust_redelegated on identity.trust (redelegated_trust_id);

create table identity.trust_role (
  trust_id text not null references identity.trust (id) on delete cascade,
  role_id text not null references identity.role (id) on delete cascade,
  primary key (trust_id, role_id)
);
create index trust_role_role on identity.trust_role (role_id);

-- Single tokens that were revoked; rows go when the token would have expired anyway.
create table identity.revocation (
  audit_id text primary key,
  revoked_at timestamptz not null default now(),
  issued_before timestamptz not null,
  expires_at timestamptz not null
);
create index revocation_expires on identity.revocation (expires_at);

create table identity.policy (
  id text primary key,
  type text not null,
  blob text not null,
  extra jsonb not null default '{}'
);

create table identity.policy_association (
  policy_id text not null references identity.policy (id) on delete cascade,
  endpoint_id text references identity.endpoint (id) on delete cascade,
  service_id text references identity.service (id) on delete cascade,
  region_id text references identity.region (id) on delete cascade,
  constraint policy_association_once unique nulls not distinct (endpoint_id, service_id, region_id),
  check (endpoint_id is null or (service_id is null and region_id is null)),
  check (endpoint_id is not null or service_id is not null)
);
create index policy_association_policy on identity.policy_association (policy_id);

create table identity.registered_limit (
  id text primary key,
  service_id text not null references identity.service (id),
  region_id text references identity.region (id),
  resource_name text not null,
  default_limit integer not null,
  description text,
  constraint registered_limit_once unique nulls not distinct (service_id, region_id, resource_name)
);
create index registered_limit_region on identity.registered_limit (region_id);

create table identity."limit" (
  id text primary key,
  registered_limit_id text not null references identity.registered_limit (id),
  -- one of the two
  project_id text references identity.project (id) on delete cascade,
  domain_id text references identity.project (id) on delete cascade,
  resource_limit integer not null,
  description text,
  constraint limit_once unique nulls not distinct (registered_limit_id, project_id, domain_id),
  check ((project_id is null) <> (domain_id is null))
);
create index limit_project on identity."limit" (project_id);
create index limit_domain on identity."limit" (domain_id);

create table identity.domain_config (
  domain_id text not null references identity.project (id) on delete cascade,
  section text not null,
  option text not null,
  value jsonb not null,
  is_sensitive boolean not null default false,
  primary key (domain_id, section, option)
);

create table identity.oauth_consumer (
  id text primary key,
  description text,
  secret text not null,
  extra jsonb not null default '{}'
);

-- Any change of what a token may do is told to every process in the transaction that makes it. PostgreSQL sends
-- equal notifications of one transaction once.
create function identity.tell_change() returns trigger language plpgsql as $$
begin
  perform pg_notify('identity_change', '');
  return null;
end $$;

do $$
declare name text;
begin
  foreach name in array array['project', 'user', 'group', 'group_member', 'role', 'implied_role', 'assignment',
    'region', 'service', 'endpoint', 'endpoint_group', 'project_endpoint', 'project_endpoint_group',
    'application_credential', 'application_credential_role', 'application_credential_access_rule', 'access_rule',
    'trust', 'trust_role', 'revocation', 'password']
  loop
    execute format('create trigger tell_change after insert or update or delete on identity.%I
      for each statement execute function identity.tell_change()', name);
  end loop;
end $$;

-- The functions below answer what every validation of a token asks. They are in plpgsql because that keeps their
-- plans for the life of a connection: planning these statements takes ten times as long as running them.

-- The given roles and all that they imply.
create function identity.with_implied(role_ids text[]) returns table (role_id text) language plpgsql stable as $$
#variable_conflict use_column
begin
  return query
  with recursive held (role_id) as (
    select unnest(role_ids)
    union
    select i.implied_role_id from held h join identity.implied_role i on i.prior_role_id = h.role_id
  )
  select role_id from held;
end $$;

-- The roles of a user in a scope: the one place that decides. Own and group assignments, those inherited from the
-- projects above and the domain, and all that these imply. Roles of a single domain count only for what they imply.
create function identity.effective_role(actor text, scope_kind text, scope_id text)
returns table (role_id text) language plpgsql stable as $$
#variable_conflict use_column
begin
  return query
  with recursive target (id, parent_id, depth) as (
    select id, parent_id, 0 from identity.project where id = scope_id
    union all
    select p.id, p.parent_id, t.depth + 1 from target t join identity.project p on p.id = t.parent_id
    where scope_kind = 'project'
  ),
  held (role_id) as (
    select a.role_id from (
      select a.role_id, a.target_kind, a.is_inherited, t.depth
      from target t join identity.assignment a on a.target_id = t.id and a.user_id = actor
      union all
      select a.role_id, a.target_kind, a.is_inherited, t.depth
      from target t
      cross join identity.group_member m
      join identity.assignment a on a.target_id = t.id and a.group_id = m.group_id
      where m.user_id = actor
      union all
      select a.role_id, a.target_kind, a.is_inherited, 0
      from identity.assignment a where scope_kind = 'system' and a.user_id = actor and a.target_id is null
      union all
      select a.role_id, a.target_kind, a.is_inherited, 0
      from identity.group_member m join identity.assignment a on a.group_id = m.group_id and a.target_id is null
      where scope_kind = 'system' and m.user_id = actor
    ) a
    where case when a.depth = 0 then a.target_kind = scope_kind and not a.is_inherited else a.is_inherited end
    union
    select i.implied_role_id from held h join identity.implied_role i on i.prior_role_id = h.role_id
  )
  select h.role_id from held h join identity.role r on r.id = h.role_id where r.domain_id is null;
end $$;

-- A trust that was passed on stands on those before it. Its roles are those of the first trustor, as long as nobody
-- on the way is gone or disabled.
create function identity.trust_root(trust_id text, at timestamptz)
returns table (trustor_user_id text, is_live boolean) language plpgsql stable as $$
#variable_conflict use_column
begin
  return query
  with recursive chain as (
    select t.*, 0 as depth from identity.trust t where t.id = trust_id
    union all
    select t.*, c.depth + 1 from chain c join identity.trust t on t.id = c.redelegated_trust_id
  )
  select (array_agg(c.trustor_user_id order by c.depth desc))[1],
    bool_and(c.deleted_at is null and coalesce(c.expires_at > at, true) and r.is_enabled and e.is_enabled
      and rd.is_enabled and ed.is_enabled)
  from chain c
  join identity."user" r on r.id = c.trustor_user_id
  join identity."user" e on e.id = c.trustee_user_id
  join identity.project rd on rd.id = r.domain_id
  join identity.project ed on ed.id = e.domain_id;
end $$;

create function identity.person_facts(the_id text) returns jsonb language plpgsql stable as $$
begin
  return (
    select jsonb_build_object('id', u.id, 'name', u.name, 'domain_id', d.id, 'domain_name', d.name,
      'is_enabled', u.is_enabled, 'is_domain_enabled', d.is_enabled, 'epoch', u.token_epoch,
      'default_project_id', u.default_project_id, 'options', u.options,
      'password_expires_at', (select p.expires_at from identity.password p where p.user_id = u.id
        order by p.id desc limit 1))
    from identity."user" u join identity.project d on d.id = u.domain_id where u.id = the_id);
end $$;

create function identity.trust_facts(the_id text, at timestamptz) returns jsonb language plpgsql stable as $$
begin
  return (
    select jsonb_build_object('id', t.id, 'trustor_user_id', t.trustor_user_id,
      'trustee_user_id', t.trustee_user_id, 'project_id', t.project_id, 'is_impersonation', t.is_impersonation,
      'is_over', not (select is_live from identity.trust_root(t.id, at)),
      'role_ids', (select coalesce(jsonb_agg(role_id), '[]') from identity.with_implied(
        array(select role_id from identity.trust_role r where r.trust_id = t.id))))
    from identity.trust t where t.id = the_id);
end $$;

create function identity.application_credential_facts(the_id text, at timestamptz)
returns jsonb language plpgsql stable as $$
begin
  return (
    select jsonb_build_object('id', c.id, 'name', c.name, 'project_id', c.project_id,
      'is_unrestricted', c.is_unrestricted, 'is_over', coalesce(c.expires_at <= at, false),
      'role_ids', (select coalesce(jsonb_agg(role_id), '[]') from identity.with_implied(
        array(select role_id from identity.application_credential_role r where r.application_credential_id = c.id))),
      'access_rules', (select coalesce(jsonb_agg(jsonb_build_object('id', r.id, 'service', r.service,
          'path', r.path, 'method', r.method) order by r.id), '[]')
        from identity.application_credential_access_rule a join identity.access_rule r on r.id = a.access_rule_id
        where a.application_credential_id = c.id))
    from identity.application_credential c where c.id = the_id);
end $$;

-- All that decides whether a token is good, and for what; src/identity/token/facts.ts has the shape.
create function identity.token_facts(the_user_id text, scope_kind text, scope_id text, the_trust_id text,
  the_credential_id text, the_audit_id text, at timestamptz)
returns jsonb language plpgsql stable as $$
declare
  trustor_id text;
  actor text := the_user_id;
begin
  if the_trust_id is not null then
    trustor_id := (select t.trustor_user_id from identity.trust t where t.id = the_trust_id);
    actor := (select r.trustor_user_id from identity.trust_root(the_trust_id, at) r);
  end if;
  return (
    select jsonb_build_object(
      'user', identity.person_facts(the_user_id),
      'trustor', case when trustor_id is not null then identity.person_facts(trustor_id) end,
      'project', case when scope_id is not null then (
        select jsonb_build_object('id', p.id, 'name', p.name, 'is_domain', p.is_domain,
          'is_enabled', p.is_enabled, 'domain_id', d.id, 'domain_name', d.name, 'is_domain_enabled', d.is_enabled)
        from identity.project p join identity.project d on d.id = coalesce(p.domain_id, p.id)
        where p.id = scope_id) end,
      'roles', case when scope_kind = 'unscoped' then '[]'::jsonb else (
        select coalesce(jsonb_agg(jsonb_build_object('id', r.id, 'name', r.name) order by r.name), '[]')
        from identity.effective_role(actor, scope_kind, scope_id) e
        join identity.role r on r.id = e.role_id) end,
      'trust', case when the_trust_id is not null then identity.trust_facts(the_trust_id, at) end,
      'application_credential', case when the_credential_id is not null
        then identity.application_credential_facts(the_credential_id, at) end,
      'is_revoked', exists (select 1 from identity.revocation v where v.audit_id = the_audit_id)));
end $$;
