"""The metrics of the demo account that Home Assistant exports to Prometheus."""

type Values = dict[tuple[str, str], float | None]

MEGABYTES = "homeassistant_sensor_data_size_mb"
GIGABYTES = "homeassistant_sensor_data_size_gb"
PERCENT = "homeassistant_sensor_unit_percent"
MESSAGES = "homeassistant_sensor_unit_messages"
SECONDS = "homeassistant_sensor_timestamp_seconds"
SIMS = "homeassistant_sensor_unit_sims"
ON = "homeassistant_binary_sensor_state"
AVAILABLE = "homeassistant_entity_available"
UPDATED = "homeassistant_last_updated_time_seconds"
# Its samples end in `_total`.
CHANGES = "homeassistant_state_change"
GAUGES = (MEGABYTES, GIGABYTES, PERCENT, MESSAGES, SECONDS, SIMS, ON, AVAILABLE, UPDATED)

DATA_USAGE = "sensor.boat_tracker_data_usage"
STATUS = "sensor.boat_tracker_status"
OTHER_SIM_VALUES: Values = {
    ("sensor.pangea_test_sim_data_usage", MEGABYTES): 0,
    ("sensor.pangea_test_sim_allowance_used", PERCENT): 0,
    ("sensor.pangea_test_sim_sms_usage", MESSAGES): 0,
    ("sensor.pangea_test_sim_session_ended", SECONDS): 1692183007,
    ("binary_sensor.pangea_test_sim_data_session", ON): 0,
    ("binary_sensor.pangea_test_sim_data_session", AVAILABLE): 1,
}
EXPECTED_VALUES: Values = {
    (DATA_USAGE, MEGABYTES): 602.9312,
    (DATA_USAGE, AVAILABLE): 1,
    (STATUS, AVAILABLE): 1,
    # Of 500 MB of 1,024 x 1,024 bytes.
    ("sensor.boat_tracker_allowance_used", PERCENT): 115,
    ("sensor.boat_tracker_sms_usage", MESSAGES): 7,
    ("binary_sensor.boat_tracker_data_session", ON): 1,
    ("binary_sensor.boat_tracker_projected_overage", ON): 1,
    ("binary_sensor.boat_tracker_projected_overage", AVAILABLE): 1,
    **OTHER_SIM_VALUES,
    ("sensor.demo_client_sims", SIMS): 2,
    ("sensor.demo_client_activated_sims", SIMS): 1,
    ("sensor.demo_client_data_usage_of_all_sims", GIGABYTES): 0.6029312,
    ("binary_sensor.demo_client_portal", ON): 1,
}
