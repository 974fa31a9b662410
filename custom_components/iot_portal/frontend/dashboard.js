// Offers the dashboard under "Add dashboard". Home Assistant makes it: dashboard.py answers the command.
const TAG = "ll-strategy-dashboard-iot-portal";
const generate = (hass) => hass.callWS({ type: "iot_portal/dashboard", language: hass.language });

class IotPortalDashboard extends HTMLElement {
  // There is nothing to set, so the pencil offers to take control.
  static noEditor = true;

  static generate(_config, hass) {
    return generate(hass);
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
    name: "SIM cards",
    description: "All SIMs of the IoT Portal: who needs a look, what they use, what happened",
  });
}
