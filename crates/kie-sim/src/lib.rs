//! A faithful simulator of the KIE.ai API on local ports, with scripted faults.
