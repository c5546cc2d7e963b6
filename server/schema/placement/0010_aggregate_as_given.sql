-- Clients read an aggregate back in the form in which they sent it, with hyphens or without.
alter table placement.provider_aggregate add column as_given text;
