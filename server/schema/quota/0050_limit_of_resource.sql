-- What is limited may go (a volume type): then so do its limits, and nobody else's rows are looked at.
create index limit_of_resource on quota."limit" (service, resource);
create index class_limit_of_resource on quota.class_limit (service, resource);
create index user_limit_of_resource on quota.user_limit (service, resource);
