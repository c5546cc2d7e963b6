-- Those with one name come in the order of lists, so that a page of them is read and no more.
drop index identity.project_named, identity.service_name;
create index project_named on identity.project (lower(name), name, id);
create index service_name on identity.service (name, type, id);
