-- The roles of a user in a scope, as before, by another way: the scopes above are collected first, and assignments are
-- then looked up by user and target. Joined with the recursion, the plan expected a hundred targets and read all
-- assignments of the user: 1.1 to 1.5 ms for one with 10,000 of them, 0.05 ms this way.
create or replace function identity.effective_role(actor text, scope_kind text, scope_id text)
returns table (role_id text) language plpgsql stable as $$
#variable_conflict use_column
declare
  above text[] := '{}';
  at text := scope_id;
begin
  while scope_kind = 'project' loop
    at := (select p.parent_id from identity.project p where p.id = at);
    exit when at is null;
    above := above || at;
  end loop;
  return query
  with recursive held (role_id) as (
    select given.role_id from (
      select a.role_id from identity.assignment a
      where a.user_id = actor and a.target_id = scope_id and a.target_kind = scope_kind and not a.is_inherited
      union all
      select a.role_id from identity.assignment a
      where a.user_id = actor and a.target_id = any(above) and a.is_inherited
      union all
      select a.role_id from identity.group_member m join identity.assignment a on a.group_id = m.group_id
      where m.user_id = actor and a.target_id = scope_id and a.target_kind = scope_kind and not a.is_inherited
      union all
      select a.role_id from identity.group_member m join identity.assignment a on a.group_id = m.group_id
      where m.user_id = actor and a.target_id = any(above) and a.is_inherited
      union all
      select a.role_id from identity.assignment a
      where scope_kind = 'system' and a.user_id = actor and a.target_id is null and not a.is_inherited
      union all
      select a.role_id from identity.group_member m join identity.assignment a on a.group_id = m.group_id
      where scope_kind = 'system' and m.user_id = actor and a.target_id is null and not a.is_inherited
    ) given
    union
    select i.implied_role_id from held h join identity.implied_role i on i.prior_role_id = h.role_id
  )
  select h.role_id from held h join identity.role r on r.id = h.role_id where r.domain_id is null;
end $$;
