-- Names of projects, domains, users, groups and roles are taken and found without regard to case, as in Keystone's
-- databases. Where two differ in nothing else, the oldest keeps its name and the others get the start of their id
-- behind theirs; nothing refers to any of them by name.
update identity."user" t set name = left(name, 246) || '-' || left(id, 8) where exists (
  select from identity."user" o where o.domain_id = t.domain_id and lower(o.name) = lower(t.name)
    and (o.created_at, o.id) < (t.created_at, t.id));
alter table identity."user" drop constraint user_name;
create unique index user_name on identity."user" (lower(name), domain_id);

update identity."group" t set name = left(name, 246) || '-' || left(id, 8) where exists (
  select from identity."group" o where o.domain_id = t.domain_id and lower(o.name) = lower(t.name)
    and (o.created_at, o.id) < (t.created_at, t.id));
alter table identity."group" drop constraint group_name;
create unique index group_name on identity."group" (lower(name), domain_id);

update identity.role t set name = left(name, 246) || '-' || left(id, 8) where exists (
  select from identity.role o where o.domain_id is not distinct from t.domain_id and lower(o.name) = lower(t.name)
    and (o.created_at, o.id) < (t.created_at, t.id));
alter table identity.role drop constraint role_name;
create unique index role_name on identity.role (lower(name), domain_id) nulls not distinct;

update identity.project t set name = left(name, 55) || '-' || left(id, 8) where exists (
  select from identity.project o where o.domain_id is not distinct from t.domain_id and lower(o.name) = lower(t.name)
    and (o.created_at, o.id) < (t.created_at, t.id));
drop index identity.project_name, identity.domain_name;
create unique index project_name on identity.project (lower(name), domain_id) where not is_domain;
create unique index domain_name on identity.project (lower(name)) where is_domain;
-- What the old ones found by the domain alone.
create index project_domain on identity.project (domain_id);
create index user_domain on identity."user" (domain_id);
create index group_domain on identity."group" (domain_id);
create index role_domain on identity.role (domain_id);
