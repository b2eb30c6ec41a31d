//! Places on Earth, and how far they are from each other.

use thiserror::Error;

/// A point on Earth in degrees, checked: latitude ±90, longitude ±180.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coordinates {
    latitude: f64,
    longitude: f64,
}

/// The coordinates are not on Earth.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("latitude {latitude}, longitude {longitude} is not a place on Earth (±90, ±180)")]
pub struct NotOnEarth {
    latitude: f64,
    longitude: f64,
}

impl Coordinates {
    /// # Errors
    /// When the numbers are outside ±90 and ±180, or are no numbers.
    pub fn new(latitude: f64, longitude: f64) -> Result<Self, NotOnEarth> {
        if latitude.abs() <= 90.0 && longitude.abs() <= 180.0 {
            Ok(Self { latitude, longitude })
        } else {
            Err(NotOnEarth { latitude, longitude })
        }
    }

    /// Degrees north.
    #[must_use]
    pub const fn latitude(self) -> f64 {
        self.latitude
    }

    /// Degrees east.
    #[must_use]
    pub const fn longitude(self) -> f64 {
        self.longitude
    }

    /// Great-circle distance in km by the haversine formula (Sinnott, "Virtues of the Haversine", 1984) on a sphere of
    /// the Earth's mean radius: within 0.5 % of the ellipsoid's.
    #[must_use]
    pub fn distance_km(self, other: Self) -> f64 {
        const MEAN_RADIUS_KM: f64 = 6371.0088;
        let (lat1, lat2) = (self.latitude.to_radians(), other.latitude.to_radians());
        let half_lat = (lat2 - lat1) / 2.0;
        let half_lon = (other.longitude - self.longitude).to_radians() / 2.0;
        let h = half_lat.sin().powi(2) + lat1.cos() * lat2.cos() * half_lon.sin().powi(2);
        2.0 * MEAN_RADIUS_KM * h.clamp(0.0, 1.0).sqrt().asin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_great_circles() {
        let frankfurt = Coordinates::new(50.11, 8.68).unwrap();
        let sydney = Coordinates::new(-33.87, 151.21).unwrap();
        assert!((frankfurt.distance_km(sydney) - 16_480.0).abs() < 60.0, "{}", frankfurt.distance_km(sydney));
        assert!(frankfurt.distance_km(frankfurt) < 1e-6);
        assert!(Coordinates::new(91.0, 0.0).is_err() && Coordinates::new(f64::NAN, 0.0).is_err());
    }
}
