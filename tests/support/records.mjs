// records.mjs - records in the shapes of the platform, with ids that are never used twice in a run.
let nextId = 1_000_000_000 + Math.floor(Math.random() * 1e9) * 1000;

export function event(fields = {}) {
  const id = nextId++;
  return {
    id, alert: false, description: `Event ${id} of 'x' "quoted" \\ path`, timestamp: '2026-11-20T08:00:00.000+0000',
    event_type: { id: 1, description: 'Update location' }, event_source: { id: 0, description: 'Network' },
    event_severity: { id: 0, description: 'Info' }, organisation: { id: 80025, name: 'WBV Tester' },
    endpoint: { id: 8638726, name: 'GPS Tracker', ip_address: '100.122.44.249', tags: null, imei: '86278903989000' },
    sim: { id: 274887, iccid: '8988228066700000001' }, ...fields,
  };
}

export function usage(fields = {}) {
  const id = nextId++;
  return {
    cost: 0.00558275, id, operator: { id: 4, name: 'Telekom', country: { id: 74, name: 'Germany' } },
    organisation: { id: 80025, name: 'WBV Tester' }, tariff: { ratezone: { id: 83, name: 'Europe_I' }, id: 64, name: 'Global Pro I' },
    traffic_type: { id: 5, name: 'Data' }, endpoint: { id: 8392037 }, imsi: '901405300000172',
    volume: { rx: 0.0138, tx: 0.008531, total: 0.022331 }, start_timestamp: '2019-07-17 08:21:11',
    sim: { iccid: '8988228066700000003', id: 233746 }, currency: { symbol: '€', code: 'EUR', id: 1 },
    end_timestamp: '2019-07-17 08:22:00', ...fields,
  };
}

export const many = (count, make) => Array.from({ length: count }, (_, i) => make(i));
