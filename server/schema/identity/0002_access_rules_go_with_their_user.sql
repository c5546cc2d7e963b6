-- Deleting a user deletes its rules and its application credentials in one statement, the rules first. Whether a rule
-- is still in use can be judged only when all of it is done.
alter table identity.application_credential_access_rule
  alter constraint application_credential_access_rule_access_rule_id_fkey deferrable initially deferred;
