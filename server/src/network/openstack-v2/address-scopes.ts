import {
  addressScopeNoun,
  createAddressScopes,
  deleteAddressScope,
  getAddressScope,
  listAddressScopes,
  updateAddressScope,
} from "../index.ts"
import { resource, resourceRoutes } from "./resource.ts"

export const addressScopeRoutes = resourceRoutes(
  resource({
    noun: addressScopeNoun,
    singular: "address_scope",
    particulars: {
      // Neutron's have no standard attributes.
      revision_number: { hidden: true, filter: undefined, sort: false },
      created_at: { hidden: true, sort: false },
      updated_at: { hidden: true, sort: false },
      shared: { sort: true },
    },
    list: listAddressScopes,
    get: getAddressScope,
    create: createAddressScopes,
    update: updateAddressScope,
    remove: deleteAddressScope,
  }),
)
