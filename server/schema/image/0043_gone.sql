-- Images that are not there any more: whoever chooses an id gets none of them, as others may still know it for theirs.
-- A row of one uuid for each, read by its key alone, and only when somebody chooses an id.
create table image.gone (
  id uuid primary key
);
