import { type Route, route } from "../../platform/http/wire.ts"
import {
  addressGroupNoun,
  changeGroupAddresses,
  createAddressGroups,
  deleteAddressGroup,
  getAddressGroup,
  listAddressGroups,
  updateAddressGroup,
} from "../index.ts"
import { badRequest } from "./bad-request.ts"
import { answerSchema, wrapped } from "./describe.ts"
import { resource, resourceRoutes, viewOf } from "./resource.ts"

const addressGroups = resource({
  noun: addressGroupNoun,
  singular: "address_group",
  concealsChanges: true,
  particulars: { shared: { hidden: true, filter: undefined } },
  list: listAddressGroups,
  get: getAddressGroup,
  create: createAddressGroups,
  update: updateAddressGroup,
  remove: deleteAddressGroup,
})

function addressRoute(how: "add" | "remove"): Route {
  return route({
    method: "PUT",
    path: `/address-groups/{address_group_id}/${how}_addresses`,
    operation: changeGroupAddresses,
    told: {
      body: wrapped("addresses", addressGroups.attributes.addresses?.kind.schema ?? {}),
      answer: answerSchema(addressGroups),
    },
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
