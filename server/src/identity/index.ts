// Identity: who may do what where. Other services import from here only.
import "./config.ts"
import type {} from "./tables.ts"

export {
  accessRuleNoun,
  deleteAccessRule,
  getAccessRule,
  listAccessRules,
} from "./application-credential/access-rule.ts"
export { applicationCredentialNoun } from "./application-credential/application-credential.ts"
export { createApplicationCredential } from "./application-credential/create.ts"
export { deleteApplicationCredential } from "./application-credential/delete.ts"
export { getApplicationCredential, listApplicationCredentials } from "./application-credential/read.ts"
export { grantVerbs } from "./assignment/grant.ts"
export type { GrantHolder } from "./assignment/holder.ts"
export {
  type AssignmentView,
  listRoleAssignments,
  type Named as NamedWithDomain,
} from "./assignment/list.ts"
export {
  callerOfEc2Key,
  findEc2Key,
  issueTokenByEc2Signature,
  issueTokenByS3Signature,
} from "./auth/ec2.ts"
export { type Ec2Request, isEqualText, signEc2Request, v4Key } from "./auth/ec2-signature.ts"
export type { LoginRequest, Named, ProjectRef, RequestedScope } from "./auth/request.ts"
export {
  createEndpoint,
  deleteEndpoint,
  type Endpoint,
  endpointNoun,
  getEndpoint,
  listEndpoints,
  updateEndpoint,
} from "./catalog/endpoint.ts"
export {
  createRegion,
  deleteRegion,
  getRegion,
  listRegions,
  regionNoun,
  updateRegion,
} from "./catalog/region.ts"
export {
  createService,
  deleteService,
  getService,
  listServices,
  serviceNoun,
  updateService,
} from "./catalog/service.ts"
export { identityConfig } from "./config.ts"
export { createCredential } from "./credential/create.ts"
export { credentialNoun } from "./credential/credential.ts"
export { deleteCredential } from "./credential/delete.ts"
export { createEc2Key, deleteEc2Key, type Ec2Key, getEc2Key, listEc2Keys } from "./credential/ec2.ts"
export { type Credential, getCredential, listCredentials } from "./credential/read.ts"
export { updateCredential } from "./credential/update.ts"
export { deleteDomain } from "./domain/delete.ts"
export { type Domain, domainNoun } from "./domain/domain.ts"
export { getDomain, listDomains } from "./domain/read.ts"
export { updateDomain } from "./domain/update.ts"
export {
  deleteDomainConfig,
  getDefaultDomainConfig,
  getDomainConfig,
  replaceDomainConfig,
  updateDomainConfig,
} from "./domain-config/domain-config.ts"
export {
  createEndpointGroup,
  deleteEndpointGroup,
  endpointGroupNoun,
  getEndpointGroup,
  listEndpointGroups,
  updateEndpointGroup,
} from "./endpoint-filter/endpoint-group.ts"
export {
  addProjectEndpoint,
  addProjectEndpointGroup,
  checkProjectEndpoint,
  getProjectEndpointGroup,
  listEndpointProjects,
  listGroupEndpoints,
  listGroupProjects,
  listProjectEndpointGroups,
  listProjectEndpoints,
  removeProjectEndpoint,
  removeProjectEndpointGroup,
} from "./endpoint-filter/project-endpoint.ts"
export { notFound } from "./faults.ts"
export { createGroup, deleteGroup, getGroup, groupNoun, listGroups, updateGroup } from "./group/group.ts"
export { addGroupUser, checkGroupUser, listGroupUsers, removeGroupUser } from "./group/membership.ts"
export { keySecretPath } from "./keys/keys.ts"
export { type KeyFacts, listKeys, type Rotation, rotateKeys } from "./keys/rotate.ts"
export type { RingName } from "./keys/store.ts"
export { ensureRegisteredLimits, unifiedLimit } from "./limit/in-force.ts"
export { createLimits, deleteLimit, getLimit, limitNoun, listLimits, updateLimit } from "./limit/limit.ts"
export { getLimitModel } from "./limit/model.ts"
export {
  createRegisteredLimits,
  deleteRegisteredLimit,
  getRegisteredLimit,
  listRegisteredLimits,
  registeredLimitNoun,
  updateRegisteredLimit,
} from "./limit/registered-limit.ts"
export {
  type AccessToken,
  accessTokenNoun,
  createAccessToken,
  deleteAccessToken,
  getAccessToken,
  getAccessTokenRole,
  listAccessTokenRoles,
  listAccessTokens,
} from "./oauth/access-token.ts"
export {
  consumerNoun,
  createConsumer,
  deleteConsumer,
  getConsumer,
  listConsumers,
  updateConsumer,
} from "./oauth/consumer.ts"
export { authorizeRequestToken, createRequestToken } from "./oauth/request-token.ts"
export type { SignedRequest } from "./oauth/signature.ts"
export {
  getEndpointPolicy,
  listPolicyEndpoints,
  policyAssociations,
} from "./policy-document/association.ts"
export {
  createPolicy,
  deletePolicy,
  getPolicy,
  listPolicies,
  policyNoun,
  updatePolicy,
} from "./policy-document/policy.ts"
export { createDomain, createProject } from "./project/create.ts"
export { deleteProject } from "./project/delete.ts"
export { type Project, projectNoun } from "./project/project.ts"
export {
  findProject,
  getProject,
  getProjectFamily,
  type KnownProject,
  listProjects,
} from "./project/read.ts"
export {
  addProjectTag,
  checkProjectTag,
  clearProjectTags,
  listProjectTags,
  removeProjectTag,
  replaceProjectTags,
} from "./project/tags.ts"
export { updateProject } from "./project/update.ts"
export type { Viewer } from "./read.ts"
export {
  createImpliedRole,
  deleteImpliedRole,
  getImpliedRole,
  type Inference,
  listImpliedRoles,
  listInferences,
} from "./role/implied.ts"
export { createRole, deleteRole, getRole, listRoles, type Role, roleNoun, updateRole } from "./role/role.ts"
export { type IdentityRuntime, openIdentityRuntime } from "./runtime.ts"
export { openLasting, openSealed, seal, sealLasting } from "./seal.ts"
export type { IdentitySeed } from "./seed.ts"
export type { KnownToken } from "./token/cache.ts"
export { checkToken, issueTokenByLogin, revokeToken, validateToken } from "./token/operations.ts"
export { getOwnCatalog, hasOwnSystemScope, listOwnDomains, listOwnProjects } from "./token/own-scopes.ts"
export { listRevocationEvents } from "./token/revocation-events.ts"
export { findStanding, type Standing, type StandingQuestion } from "./token/standing.ts"
export { authenticatorFor } from "./token/validate.ts"
export { readTokenCatalog, timeText, tokenJson } from "./token/view.ts"
export { createTrust } from "./trust/create.ts"
export { deleteTrust } from "./trust/delete.ts"
export { getTrust, getTrustRole, listTrustRoles, listTrusts } from "./trust/read.ts"
export { type Trust, trustNoun, usesMost } from "./trust/trust.ts"
export { changeOwnPassword } from "./user/change-password.ts"
export { getUser, listUserGroups, listUserProjects, listUsers } from "./user/read.ts"
export { createUser, deleteUser, updateUser, userNoun } from "./user/user.ts"
