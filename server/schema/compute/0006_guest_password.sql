-- What a guest has set as its administrator's password, encrypted for its user. Written once, by the guest.
alter table compute.server add column guest_password text;
