/**
 * Roles and scopes of devices. The rules are the service's own, so that a page never says something else than
 * the service does; the service decides.
 */
export {
  areImpliedBy,
  findScopeNotHeld,
  implies,
  OPERATOR_SCOPES,
  roleOf,
  scopesOf,
} from "../../src/devices/scopes";
