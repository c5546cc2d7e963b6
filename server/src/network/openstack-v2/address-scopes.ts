import {
  type AddressScope,
  createAddressScopes,
  deleteAddressScope,
  getAddressScope,
  listAddressScopes,
  updateAddressScope,
} from "../index.ts"
import { boolean, ipVersion, text, uuid } from "./kinds.ts"
import { resourceRoutes } from "./resource.ts"

export const addressScopeRoutes = resourceRoutes<AddressScope>({
  singular: "address_scope",
  plural: "address_scopes",
  path: "/address-scopes",
  operations: {
    get: getAddressScope,
    create: createAddressScopes,
    update: updateAddressScope,
    remove: deleteAddressScope,
  },
  attributes: {
    id: { kind: uuid, filter: true, sort: true },
    tenant_id: { kind: text(), key: "projectId", post: true, filter: true, sort: true },
    name: { kind: text(), post: true, put: true, filter: true, sort: true },
    shared: { kind: boolean, post: true, put: true, filter: true, sort: true },
    ip_version: { kind: ipVersion, post: true, required: true, filter: true, sort: true },
  },
  list: listAddressScopes,
  get: (ctx, addressScopeId) => getAddressScope(ctx, { addressScopeId }),
  create: (ctx, inputs) => createAddressScopes(ctx, { addressScopes: inputs }),
  update: (ctx, addressScopeId, changes, expected) =>
    updateAddressScope(ctx, { addressScopeId, changes, ...expected }),
  remove: (ctx, addressScopeId, expected) => deleteAddressScope(ctx, { addressScopeId, ...expected }),
})
