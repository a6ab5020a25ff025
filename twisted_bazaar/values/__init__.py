"""Values that several parts of the house speak in; they carry no behaviour beyond themselves."""
