import { type Route, route } from "../../platform/http/wire.ts"
import {
  type AddressGroup,
  changeGroupAddresses,
  createAddressGroups,
  deleteAddressGroup,
  getAddressGroup,
  listAddressGroups,
  updateAddressGroup,
} from "../index.ts"
import { badRequest, standardAttributes } from "./attributes.ts"
import { listOf, standardKinds, text } from "./kinds.ts"
import { type Resource, resourceRoutes, viewOf } from "./resource.ts"

const addressGroups: Resource<AddressGroup> = {
  singular: "address_group",
  plural: "address_groups",
  path: "/address-groups",
  operations: {
    get: getAddressGroup,
    create: createAddressGroups,
    update: updateAddressGroup,
    remove: deleteAddressGroup,
  },
  concealsChanges: true,
  attributes: {
    ...standardAttributes(standardKinds, { description: text(1024), tags: false }),
    name: { kind: text(), post: true, put: true, filter: true, sort: true },
    addresses: { kind: listOf(text()), post: true },
  },
  list: listAddressGroups,
  get: (ctx, addressGroupId) => getAddressGroup(ctx, { addressGroupId }),
  create: (ctx, inputs) => createAddressGroups(ctx, { addressGroups: inputs }),
  update: (ctx, addressGroupId, changes, expected) =>
    updateAddressGroup(ctx, { addressGroupId, changes, ...expected }),
  remove: (ctx, addressGroupId, expected) => deleteAddressGroup(ctx, { addressGroupId, ...expected }),
}

function addressRoute(how: "add" | "remove"): Route {
  return route({
    method: "PUT",
    path: `/address-groups/{address_group_id}/${how}_addresses`,
    operation: changeGroupAddresses,
    handler: async (ctx, req) => {
      const addresses: unknown =
        typeof req.body === "object" && req.body !== null ? Reflect.get(req.body, "addresses") : undefined
      if (!Array.isArray(addresses))
        throw badRequest("Invalid input for addresses. Reason: a list is needed.")
      const group = await changeGroupAddresses(ctx, {
        addressGroupId: req.params.address_group_id ?? "",
        how,
        addresses: addresses.map(String),
      })
      return { address_group: viewOf(ctx, addressGroups, group) }
    },
  })
}

export const addressGroupRoutes: Route[] = [
  ...resourceRoutes(addressGroups),
  addressRoute("add"),
  addressRoute("remove"),
]
