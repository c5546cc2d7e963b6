// The check strings that Nova's own defaults are written with. Spelled out and not named (`rule:…`), as other
// services have rules of the same names.
export const adminOnly = "rule:compute:context_is_admin"
export const projectReaderOrAdmin = `(role:reader and project_id:%(project_id)s) or ${adminOnly}`
export const projectMemberOrAdmin = `(role:member and project_id:%(project_id)s) or ${adminOnly}`
export const anyone = "@"
