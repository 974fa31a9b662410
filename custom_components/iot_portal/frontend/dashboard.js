// Offers the dashboard under "Add dashboard". Home Assistant makes it: dashboard.py answers the command.
const TAG = "ll-strategy-dashboard-iot-portal";
const generate = (hass) => hass.callWS({ type: "iot_portal/dashboard", language: hass.language });
const home = () => document.querySelector("home-assistant")?.hass;
const pause = () => new Promise((resolve) => setTimeout(resolve, 50));

// Home Assistant translates the names of its own dashboards only, and reads these whenever it shows them.
async function translate() {
  while (!home()?.config) await pause();
  await home().loadBackendTranslation("common", "iot_portal");
}
const text = (key, english) => home()?.localize(`component.iot_portal.common.${key}`) || english;

// In an account of more than 100 SIMs the list has those that need attention most. Which these are changes with these.
const REGISTRIES = ["entities", "devices", "areas", "floors"];
let known, decisive;
function decisiveEntities({ entities }) {
  if (known !== entities) {
    known = entities;
    decisive = Object.values(entities).filter(
      (entity) => entity.platform === "iot_portal" && entity.translation_key === "projected_overage",
    );
  }
  return decisive.length > 100 ? decisive : [];
}

class IotPortalDashboard extends HTMLElement {
  // There is nothing to set, so the pencil offers to take control.
  static noEditor = true;

  static async generate(_config, hass) {
    // Home Assistant calls this once it has the entities; the names of their states may come later.
    const [dashboard] = await Promise.all([generate(hass), hass.loadBackendTranslation("entity")]);
    return dashboard;
  }

  static shouldRegenerate(_config, before, after) {
    const isOn = (hass, entity) => hass.states[entity.entity_id]?.state === "on";
    return (
      REGISTRIES.some((registry) => before[registry] !== after[registry]) ||
      decisiveEntities(after).some((entity) => isOn(before, entity) !== isOn(after, entity))
    );
  }

  static async getCreateSuggestions(hass) {
    return { title: (await generate(hass)).title, icon: "mdi:sim" };
  }
}

// Home Assistant puts a registry of its own in the place of the browser's, which has to be the one that is used.
await customElements.whenDefined("home-assistant");

// A page that stays open over an update loads the next version too.
if (!customElements.get(TAG)) {
  customElements.define(TAG, IotPortalDashboard);
  (window.customStrategies ??= []).push({
    type: "iot-portal",
    strategyType: "dashboard",
    get name() {
      return text("dashboard", "SIM cards");
    },
    get description() {
      return text("description", "Which SIMs need attention, what they use and what happened");
    },
  });
  translate();
}
