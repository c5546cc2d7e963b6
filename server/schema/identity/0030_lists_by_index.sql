-- Lists are read in their order, page by page: of the whole cloud and of a domain. What clients filter by is found.
create index project_named on identity.project (lower(name));
create index project_by_name on identity.project (name, id);
create index domain_by_name on identity.project (name, id) where is_domain;
create index project_of_domain on identity.project (domain_id, name, id);
drop index identity.project_domain;
create index project_below on identity.project (parent_id, name, id);
drop index identity.project_parent;
create index project_disabled on identity.project (name, id) where not is_enabled;

create index user_by_name on identity."user" (name, id);
create index user_of_domain on identity."user" (domain_id, name, id);
drop index identity.user_domain;
create index user_disabled on identity."user" (name, id) where not is_enabled;
create index password_expires on identity.password (expires_at) where expires_at is not null;

create index group_by_name on identity."group" (name, id);
create index group_of_domain on identity."group" (domain_id, name, id);
drop index identity.group_domain;

create index role_by_name on identity.role (name, id);
create index role_of_domain on identity.role (domain_id, name, id);
drop index identity.role_domain;

create index service_type on identity.service (type, id);
create index service_name on identity.service (name);
create index endpoint_group_by_name on identity.endpoint_group (name, id);
create index credential_type on identity.credential (type, id);
create index policy_type on identity.policy (type, id);
create index registered_limit_resource on identity.registered_limit (resource_name);
create index trust_created on identity.trust (created_at, id) where deleted_at is null;
